;;; quicksilver-ask.el --- Questions to the server, answers on show -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Owns one question and its answer: whether ghost text may be shown at all,
;; whether an answer is still about what the person sees, and reporting the
;; outcome to the server.

;;; Code:

(require 'quicksilver-ghost)
(require 'quicksilver-server)

(defcustom quicksilver-inhibit-functions '(quicksilver-popup-p quicksilver-elsewhere-p)
  "Functions without arguments; where one returns non-nil, no ghost text is shown."
  :group 'quicksilver
  :type 'hook)

(defvar-local quicksilver-ask--connection nil "Where a completion is being asked for, else nil.")
(defvar-local quicksilver-ask--told nil "The items that the server knows to have been on show.")

(defun quicksilver-popup-p ()
  "Whether a menu of completions is open: it comes first."
  (or completion-in-region-mode
      (bound-and-true-p company-candidates)
      (minibufferp)))

(defun quicksilver-elsewhere-p ()
  "Whether what happens in this buffer is not typing at one place."
  (or buffer-read-only
      executing-kbd-macro
      (and (region-active-p) (not deactivate-mark)) ; Emacs is slow to say so after an edit.
      (bound-and-true-p multiple-cursors-mode)
      (and (bound-and-true-p evil-local-mode)
           (not (memq (bound-and-true-p evil-state) '(insert replace emacs))))))

(defun quicksilver-ask-inhibited-p ()
  "Whether no ghost text may be shown now."
  (run-hook-with-args-until-success 'quicksilver-inhibit-functions))

(defun quicksilver-ask-look ()
  "The tick of the buffer, and point: what an answer is about."
  (list (buffer-chars-modified-tick) (point)))

(defun quicksilver-ask-cancel ()
  "Forget what was asked."
  (when quicksilver-ask--connection
    (quicksilver-server-cancel quicksilver-ask--connection)
    (setq quicksilver-ask--connection nil)))

(defun quicksilver-ask (connection invoked then)
  "Ask CONNECTION for completions at point, on request if INVOKED.
THEN gets them, unless something else has happened meanwhile."
  (let ((asked (quicksilver-ask-look))
        (version (quicksilver-server-version connection)))
    (quicksilver-ask-cancel)
    (setq quicksilver-ask--connection connection)
    (quicksilver-server-request
     connection quicksilver-server-completion
     (append (quicksilver-server-position-params connection)
             `(:context (:triggerKind ,(if invoked 1 2))))
     (lambda (answer)
       (setq quicksilver-ask--connection nil)
       (when (and (equal asked (quicksilver-ask-look))
                  (equal version (quicksilver-server-version connection))
                  (eq (current-buffer) (window-buffer (selected-window)))
                  (not (quicksilver-ask-inhibited-p)))
         (funcall then (quicksilver-ask--offers connection answer)))))))

(defun quicksilver-ask--offers (connection answer)
  "What can be shown at point of ANSWER, which is CONNECTION's."
  (let ((items (if (or (vectorp answer) (null answer)) answer (quicksilver-server-get answer :items))))
    (delq nil (mapcar (lambda (item) (quicksilver-ask--offer connection item)) items))))

(defun quicksilver-ask--offer (connection item)
  "What ITEM of CONNECTION puts at point, nil where it is not just that.
It may take the place of what stands right of point, on the same line."
  (let* ((range (quicksilver-server-get item :range))
         (place (lambda (key) (quicksilver-server-point connection (quicksilver-server-get range key))))
         (start (if range (funcall place :start) (point)))
         (end (if range (funcall place :end) (point))))
    (when (and (= start (point)) (<= start end (line-end-position)))
      (quicksilver-ghost-offer-create
       :text (concat (quicksilver-server-get item :insertText)
                     (buffer-substring-no-properties end (line-end-position)))
       :raw item))))

(defun quicksilver-ask-show (texts)
  "Show the first of TEXTS that fits, and tell the server."
  (when (quicksilver-ghost-show texts)
    (quicksilver-ask-tell-shown)))

(defun quicksilver-ask-tell-shown ()
  "Tell the server what is on show, once for each item."
  (let ((item (quicksilver-ghost-raw))
        (connection (quicksilver-server-find)))
    (when (and connection (not (memq item quicksilver-ask--told)))
      (setq quicksilver-ask--told (cons item (seq-take quicksilver-ask--told 8)))
      (quicksilver-server-notify connection "textDocument/didShowCompletion" `(:item ,item)))))

(provide 'quicksilver-ask)
;;; quicksilver-ask.el ends here
