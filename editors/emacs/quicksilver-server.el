;;; quicksilver-server.el --- What Quicksilver asks of a language client -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Owns the seam between the ghost text and Emacs' language clients: a handful of
;; generic functions over a connection, which is whatever a client calls its
;; running server, and the latest status of each.  quicksilver-lsp.el and
;; quicksilver-eglot.el answer them.

;;; Code:

(require 'cl-lib)
(require 'quicksilver-ghost)

(defcustom quicksilver-command '("quicksilver" "lsp")
  "The command that starts the language server: a program and its arguments."
  :group 'quicksilver
  :type '(repeat string))

(defcustom quicksilver-model nil
  "The model: a checkpoint folder, or the name of a model that the server has.
Nil takes the server's own default.  Files and folders cannot set this."
  :group 'quicksilver
  :risky t
  :type '(choice (const :tag "The server's default" nil) directory string))

(defcustom quicksilver-settings nil
  "Settings of the server: an alist of names and values.
For instance ((min_confidence . 0.8)).  Lists are written as vectors, false as
`:json-false'.  When the server runs already, call `quicksilver-apply-settings'."
  :group 'quicksilver
  :type '(alist :key-type symbol :value-type sexp))

(defcustom quicksilver-modes
  '(prog-mode html-mode html-ts-mode yaml-mode yaml-ts-mode markdown-mode)
  "Major modes whose buffers get the server; modes derived from them count too.
Which languages are completed without being asked is a setting of the server."
  :group 'quicksilver
  :type '(repeat symbol))

(defconst quicksilver-server-completion "textDocument/inlineCompletion"
  "The request whose answer is shown.")

(defun quicksilver-server-command ()
  "The whole command: `quicksilver-command', and the model if one is set."
  (append quicksilver-command
          (when quicksilver-model
            (list "--model" (if (string-match-p "[/~]" quicksilver-model)
                                (expand-file-name quicksilver-model)
                              quicksilver-model)))))

(defun quicksilver-server-directory ()
  "The server's working directory: empty, and this user's alone.
Never one of a project, whose files Python might take for modules of ours."
  (let ((directory (file-name-as-directory (locate-user-emacs-file "quicksilver"))))
    (with-file-modes #o700
      (make-directory directory t))
    directory))

(defvar quicksilver-server-find-functions nil
  "Functions that return the connection of the current buffer, or nil.")

(defvar quicksilver-server--statuses (make-hash-table :test 'eq :weakness 'key)
  "The latest status of each connection.")

(cl-defgeneric quicksilver-server-request (connection method params then)
  "Ask CONNECTION for METHOD with PARAMS.
THEN gets the result, in the buffer that asked.  It is not called after
`quicksilver-server-cancel', nor when the server refuses.")

(cl-defgeneric quicksilver-server-cancel (connection)
  "Give up the completion that the current buffer asked CONNECTION for last.")

(cl-defgeneric quicksilver-server-notify (connection method params)
  "Tell CONNECTION of METHOD with PARAMS.")

(cl-defgeneric quicksilver-server-position-params (connection)
  "The document and the position of point, as CONNECTION counts: a plist.")

(cl-defgeneric quicksilver-server-point (connection position)
  "The place in the buffer of POSITION, as CONNECTION counts.")

(cl-defgeneric quicksilver-server-version (connection)
  "The version of the current buffer's text that CONNECTION knows.")

(cl-defgeneric quicksilver-server-stderr (connection)
  "The buffer of what the server of CONNECTION logs, or nil.")

(defun quicksilver-server-find ()
  "The connection of the current buffer, nil when there is none (yet)."
  (run-hook-with-args-until-success 'quicksilver-server-find-functions))

(defun quicksilver-server-find-or-say ()
  "The connection of the current buffer; an error for people if there is none."
  (let ((program (car quicksilver-command)))
    (or (quicksilver-server-find)
        (if (executable-find program)
            (user-error "Quicksilver's server does not run in this buffer")
          (user-error "Quicksilver's server: there is no program %s" program)))))

(defun quicksilver-server-get (object key)
  "The value of KEY, a keyword, in OBJECT, which a client made of a JSON object."
  (if (hash-table-p object)
      (gethash (substring (symbol-name key) 1) object)
    (plist-get object key)))

(defun quicksilver-server-status (connection)
  "The latest status of CONNECTION, nil before the first."
  (and connection (gethash connection quicksilver-server--statuses)))

(defun quicksilver-server-note-status (connection status)
  "Remember STATUS of CONNECTION, and show it in mode lines."
  (puthash connection status quicksilver-server--statuses)
  (force-mode-line-update t))

(defun quicksilver-server-settings ()
  "`quicksilver-settings' as a JSON object, also when there are none."
  (or quicksilver-settings (make-hash-table)))

(defconst quicksilver-server-capabilities
  '((general . ((positionEncodings . ["utf-32" "utf-16"])))
    (experimental . ((quicksilver . ((status . t))))))
  "What we tell the server: how columns are counted, and statuses.
Both clients count characters, and not all versions of them say so.")

(provide 'quicksilver-server)
;;; quicksilver-server.el ends here
