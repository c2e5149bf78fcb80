;;; quicksilver-lsp.el --- Quicksilver through lsp-mode -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Registers the server with lsp-mode, beside whatever other server a buffer
;; has, and answers the generic functions of quicksilver-server.el by it.

;;; Code:

(require 'lsp-mode)
(require 'quicksilver-server)

(defvar quicksilver-mode)
(defvar lsp-use-workspace-root-for-server-default-directory)

(defun quicksilver-lsp--wanted-p (_file mode)
  "Whether a buffer in MODE gets the server: also one in which it was asked for."
  (or (bound-and-true-p quicksilver-mode)
      (apply #'provided-mode-derived-p mode quicksilver-modes)))

(defun quicksilver-lsp--connection ()
  "A connection to the server, which works in a directory of its own."
  (let* ((connection (lsp-stdio-connection #'quicksilver-server-command))
         (connect (plist-get connection :connect)))
    (plist-put connection :connect
               (lambda (&rest arguments)
                 (let ((default-directory (quicksilver-server-directory))
                       (lsp-use-workspace-root-for-server-default-directory nil))
                   (apply connect arguments))))))

(defun quicksilver-lsp--configuration (_workspace params)
  "Answer `workspace/configuration': our settings for each of PARAMS."
  (vconcat (seq-map (lambda (_) (quicksilver-server-settings)) (quicksilver-server-get params :items))))

(defun quicksilver-lsp-find ()
  "The workspace of our server in the current buffer, nil when it is not ready."
  (seq-find (lambda (workspace)
              (and (eq 'quicksilver (lsp--client-server-id (lsp--workspace-client workspace)))
                   (eq 'initialized (lsp--workspace-status workspace))))
            (and (bound-and-true-p lsp-mode) (lsp-workspaces))))

(cl-defmethod quicksilver-server-request ((workspace lsp--workspace) method params then)
  "Ask WORKSPACE for METHOD with PARAMS, THEN called with the result."
  (with-lsp-workspace workspace
    (lsp-request-async method params then
                       :mode 'alive
                       :error-handler (lambda (_) (lsp-log "quicksilver: %s was refused" method))
                       :cancel-token (and (equal method quicksilver-server-completion)
                                          (quicksilver-lsp--token)))))

(defun quicksilver-lsp--token ()
  "What lsp-mode knows the completion by that the current buffer asked for.
A newer one with the same token cancels the older one."
  (list 'quicksilver (current-buffer)))

(cl-defmethod quicksilver-server-cancel ((_workspace lsp--workspace))
  "Cancel the completion that was asked for last."
  (lsp-cancel-request-by-token (quicksilver-lsp--token)))

(cl-defmethod quicksilver-server-notify ((workspace lsp--workspace) method params)
  "Tell WORKSPACE of METHOD with PARAMS."
  (with-lsp-workspace workspace
    (lsp-notify method params)))

(cl-defmethod quicksilver-server-position-params ((_workspace lsp--workspace))
  "The document and the position of point."
  (lsp--text-document-position-params))

(cl-defmethod quicksilver-server-point ((_workspace lsp--workspace) position)
  "The place of POSITION in the buffer."
  (lsp--position-to-point position))

(cl-defmethod quicksilver-server-version ((_workspace lsp--workspace))
  "The version of the buffer's text."
  lsp--cur-version)

(cl-defmethod quicksilver-server-stderr ((workspace lsp--workspace))
  "The buffer of what the server of WORKSPACE wrote to its stderr."
  (get-buffer (format "*%s::stderr*" (process-name (lsp--workspace-cmd-proc workspace)))))

(defun quicksilver-lsp-register ()
  "Register the server with lsp-mode."
  (lsp-register-client
   (make-lsp-client
    :new-connection (quicksilver-lsp--connection)
    :activation-fn #'quicksilver-lsp--wanted-p
    :server-id 'quicksilver
    :add-on? t
    :priority -1
    :multi-root t
    :custom-capabilities quicksilver-server-capabilities
    :initialization-options #'quicksilver-server-settings
    :request-handlers (let ((handlers (make-hash-table :test 'equal)))
                        (puthash "workspace/configuration" #'quicksilver-lsp--configuration handlers)
                        handlers)
    :notification-handlers (let ((handlers (make-hash-table :test 'equal)))
                             (puthash "quicksilver/status" #'quicksilver-server-note-status handlers)
                             handlers))))

(quicksilver-lsp-register)
(add-hook 'quicksilver-server-find-functions #'quicksilver-lsp-find)

(provide 'quicksilver-lsp)
;;; quicksilver-lsp.el ends here
