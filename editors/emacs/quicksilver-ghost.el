;;; quicksilver-ghost.el --- Ghost text at the cursor -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Owns the ghost text: how much of it fits the buffer, how it is drawn, and how
;; much of it is inserted.  There is no language server here, and no timer.
;;
;; An offer is kept as the whole text that would stand between the place where
;; it was asked for (the anchor) and the end of the line.  What is typed since is
;; its beginning, what stands right of the cursor is its end, and what is left
;; between them is drawn.  So typing along, deleting again, and brackets that
;; the editor closes by itself need no special rules.

;;; Code:

(require 'cl-lib)
(require 'subr-x)

(defgroup quicksilver nil
  "Completion by a local language server, as ghost text at the cursor."
  :group 'convenience
  :prefix "quicksilver-")

(defface quicksilver-ghost '((t :inherit shadow))
  "Face of text that may be accepted.")

(cl-defstruct (quicksilver-ghost-offer (:constructor quicksilver-ghost-offer-create))
  "A text to accept: TEXT from the anchor to the end of the line, RAW the item that it came from."
  text raw)

(defvar quicksilver-ghost-map (make-sparse-keymap)
  "Keymap that is active only while ghost text is on show.
What is not bound here does what it always does.")

(defvar-local quicksilver-ghost-shown nil "Non-nil while ghost text is on show.")
(defvar-local quicksilver-ghost-offers nil "All offers, the best first.")
(defvar-local quicksilver-ghost-current nil "The offer on show.")
(defvar-local quicksilver-ghost--anchor nil "Marker: where the offers begin.")
(defvar-local quicksilver-ghost--before nil "What stands left of the anchor, in its line.")
(defvar-local quicksilver-ghost--overlay nil "Holds the ghost text; it covers nothing.")

(defvar quicksilver-ghost--map-alist `((quicksilver-ghost-shown . ,quicksilver-ghost-map))
  "For `emulation-mode-map-alists', since minor modes bind TAB too.")
(add-to-list 'emulation-mode-map-alists 'quicksilver-ghost--map-alist)

(defun quicksilver-ghost-show (texts)
  "Show the first of TEXTS that fits at point; return it, nil when none does."
  (quicksilver-ghost-hide)
  (when texts
    (setq quicksilver-ghost-offers texts
          quicksilver-ghost--anchor (copy-marker (point))
          quicksilver-ghost--before (quicksilver-ghost--before-anchor))
    (quicksilver-ghost-refresh)))

(defun quicksilver-ghost-hide (&rest _)
  "Take the ghost text away."
  (when quicksilver-ghost--overlay
    (delete-overlay quicksilver-ghost--overlay))
  (when quicksilver-ghost--anchor
    (set-marker quicksilver-ghost--anchor nil))
  (setq quicksilver-ghost-shown nil
        quicksilver-ghost-offers nil
        quicksilver-ghost-current nil
        quicksilver-ghost--anchor nil))

(defun quicksilver-ghost-refresh ()
  "Draw what is left of an offer at point; return it, nil when none fits any more."
  (let ((offer (seq-find #'quicksilver-ghost--left
                         (cons quicksilver-ghost-current quicksilver-ghost-offers))))
    (if (null offer)
        (quicksilver-ghost-hide)
      (setq quicksilver-ghost-current offer
            quicksilver-ghost-shown t)
      (quicksilver-ghost--draw (quicksilver-ghost--left offer)))
    offer))

(defun quicksilver-ghost--left (offer)
  "What is left of OFFER at point, nil when that is nothing or it does not fit."
  (when (and offer quicksilver-ghost--anchor (<= quicksilver-ghost--anchor (point)))
    (let* ((text (quicksilver-ghost-offer-text offer))
           (n-typed (- (point) quicksilver-ghost--anchor))
           (right (buffer-substring-no-properties (point) (line-end-position)))
           (n-left (- (length text) n-typed (length right))))
      (and (> n-left 0)
           (equal quicksilver-ghost--before (quicksilver-ghost--before-anchor))
           (string-prefix-p (quicksilver-ghost--typed) text)
           (string-suffix-p right text)
           (substring text n-typed (+ n-typed n-left))))))

(defun quicksilver-ghost--typed ()
  "What was typed since the text came."
  (buffer-substring-no-properties quicksilver-ghost--anchor (point)))

(defun quicksilver-ghost--before-anchor ()
  "What stands left of the anchor, in its line."
  (save-excursion
    (goto-char quicksilver-ghost--anchor)
    (buffer-substring-no-properties (line-beginning-position) (point))))

(defun quicksilver-ghost--draw (text)
  "Draw TEXT at point."
  (let ((overlay (or quicksilver-ghost--overlay
                     (setq quicksilver-ghost--overlay (make-overlay (point) (point)))))
        ;; A cursor can stand on a blank, but not on the end of a line.
        (text (propertize (if (string-prefix-p "\n" text) (concat " " text) text)
                          'face 'quicksilver-ghost)))
    ;; The cursor stands on its first character, for one position: this one.
    (put-text-property 0 1 'cursor 1 text)
    (move-overlay overlay (point) (point) (current-buffer))
    (overlay-put overlay 'window (selected-window))
    (overlay-put overlay 'after-string text)))

(defun quicksilver-ghost-cycle (n)
  "Show the Nth next offer that fits; return it."
  (let* ((fitting (seq-filter #'quicksilver-ghost--left quicksilver-ghost-offers))
         (index (seq-position fitting quicksilver-ghost-current #'eq)))
    (setq quicksilver-ghost-current (nth (mod (+ (or index 0) n) (max 1 (length fitting))) fitting))
    (quicksilver-ghost-refresh)))

(defun quicksilver-ghost-take (regexp)
  "Insert what REGEXP matches at the start of the ghost text; for nil, all of it.
Return non-nil when nothing of it is left.  Point ends behind what was inserted,
or at the end of the line when that was all."
  (let* ((left (quicksilver-ghost--left quicksilver-ghost-current))
         (part (if (and regexp (string-match regexp left)) (match-string 0 left) left))
         (is-all (= (length part) (length left))))
    (insert part)
    (when (and is-all (null regexp))
      (end-of-line))
    is-all))

(defun quicksilver-ghost-raw ()
  "The item that the ghost text came from."
  (and quicksilver-ghost-current (quicksilver-ghost-offer-raw quicksilver-ghost-current)))

(defun quicksilver-ghost-units-taken ()
  "How much of the text of the offer stands before point, in UTF-16 units."
  (/ (string-bytes (encode-coding-string (quicksilver-ghost--typed) 'utf-16le)) 2))

(provide 'quicksilver-ghost)
;;; quicksilver-ghost.el ends here
