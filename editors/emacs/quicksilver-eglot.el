;;; quicksilver-eglot.el --- Quicksilver through Eglot -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Answers the generic functions of quicksilver-server.el by Eglot, which comes
;; with Emacs 29 and newer:
;;
;;   (require 'quicksilver-eglot)
;;   (quicksilver-eglot-register 'python-mode 'python-ts-mode)
;;   (setq quicksilver-start-lsp nil)
;;   (global-quicksilver-mode)
;;
;; Eglot has one server for a buffer.  So this takes the place of the server
;; that these modes have otherwise; lsp-mode can have both.

;;; Code:

(require 'eglot)
(require 'jsonrpc)
(require 'quicksilver-server)

(defvar-local quicksilver-eglot--n-asked 0 "Completions that were asked for or given up.")

(defclass quicksilver-eglot-server (eglot-lsp-server) ()
  :documentation "Quicksilver's server.")

(cl-defmethod initialize-instance :around ((_server quicksilver-eglot-server) &rest _)
  "Start the process in a directory of its own."
  (let ((default-directory (quicksilver-server-directory)))
    (cl-call-next-method)))

(cl-defmethod eglot-client-capabilities ((_server quicksilver-eglot-server))
  "Ask for notifications of the status, besides what Eglot asks for."
  (plist-put (cl-call-next-method) :experimental '(:quicksilver (:status t))))

(cl-defmethod eglot-initialization-options ((_server quicksilver-eglot-server))
  "The settings."
  (quicksilver-server-settings))

(cl-defmethod eglot-handle-request
  ((_server quicksilver-eglot-server) (_method (eql workspace/configuration)) &key items)
  "Answer with the settings, where ITEMS ask for them and not for another server's."
  (if (seq-some (lambda (item) (equal (plist-get item :section) "quicksilver")) items)
      (vconcat (mapcar (lambda (_) (quicksilver-server-settings)) items))
    (cl-call-next-method)))

(cl-defmethod eglot-handle-notification
  ((server quicksilver-eglot-server) (_method (eql quicksilver/status)) &rest status)
  "Remember STATUS of SERVER."
  (quicksilver-server-note-status server status))

(defun quicksilver-eglot-find ()
  "The server of the current buffer, nil when it does not complete inline."
  (when-let ((server (and (bound-and-true-p eglot--managed-mode) (eglot-current-server))))
    (and (plist-get (eglot--capabilities server) :inlineCompletionProvider) server)))

(cl-defmethod quicksilver-server-request ((server eglot-lsp-server) method params then)
  "Ask SERVER for METHOD with PARAMS, THEN called with the result."
  (eglot--signal-textDocument/didChange)
  (let* ((buffer (current-buffer))
         (completes (equal method quicksilver-server-completion))
         (number (and completes (cl-incf quicksilver-eglot--n-asked))))
    (jsonrpc-async-request
     server (intern (concat ":" method)) params
     :success-fn (lambda (result)
                   (when (buffer-live-p buffer)
                     (with-current-buffer buffer
                       (when (or (not completes) (= number quicksilver-eglot--n-asked))
                         (funcall then result)))))
     :error-fn #'ignore
     :timeout-fn #'ignore)))

(cl-defmethod quicksilver-server-cancel ((_server eglot-lsp-server))
  "Do not wait for the answer; the server gives up by itself when asked anew."
  (cl-incf quicksilver-eglot--n-asked))

(cl-defmethod quicksilver-server-notify ((server eglot-lsp-server) method params)
  "Tell SERVER of METHOD with PARAMS."
  (jsonrpc-notify server (intern (concat ":" method)) params))

(cl-defmethod quicksilver-server-position-params ((_server eglot-lsp-server))
  "The document and the position of point."
  (eglot--TextDocumentPositionParams))

(cl-defmethod quicksilver-server-point ((_server eglot-lsp-server) position)
  "The place of POSITION in the buffer."
  (eglot--lsp-position-to-point position))

(cl-defmethod quicksilver-server-version ((_server eglot-lsp-server))
  "The version of the buffer, after telling the server of the latest edits."
  (eglot--signal-textDocument/didChange)
  eglot--versioned-identifier)

(cl-defmethod quicksilver-server-stderr ((server eglot-lsp-server))
  "The buffer of what SERVER wrote to its stderr."
  (jsonrpc-stderr-buffer server))

(defun quicksilver-eglot-register (&rest modes)
  "Have Eglot start our server in MODES."
  (add-to-list 'eglot-server-programs
               (cons modes (lambda (&rest _) (cons 'quicksilver-eglot-server (quicksilver-server-command))))))

(add-hook 'quicksilver-server-find-functions #'quicksilver-eglot-find)

(provide 'quicksilver-eglot)
;;; quicksilver-eglot.el ends here
