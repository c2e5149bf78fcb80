;;; quicksilver-commands.el --- Commands for Quicksilver's server -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Keywords: convenience, languages

;;; Commentary:

;; Owns the commands that are not about the text at the cursor, such as
;; switching completions off for a while, and what the mode line says.

;;; Code:

(require 'quicksilver-server)

(defun quicksilver-commands--run (name arguments then)
  "Have the server execute NAME with ARGUMENTS, a list; THEN gets the result."
  (let ((connection (quicksilver-server-find-or-say)))
    (quicksilver-server-request
     connection "workspace/executeCommand"
     `(:command ,name :arguments ,(vconcat arguments))
     (lambda (result) (funcall then connection result)))))

(defun quicksilver-commands--tell (connection status)
  "Remember STATUS of CONNECTION and say it in one line."
  (quicksilver-server-note-status connection status)
  (message "Quicksilver is %s: %s" (quicksilver-server-get status :state) (quicksilver-server-get status :message)))

(defun quicksilver-status ()
  "Say how the server is, and what became of the texts it had on show."
  (interactive)
  (quicksilver-commands--run "quicksilver.status" nil #'quicksilver-commands--tell-all))

(defun quicksilver-commands--tell-all (connection status)
  "Remember STATUS of CONNECTION and say it with its counts."
  (quicksilver-server-note-status connection status)
  (let ((counts (quicksilver-server-get status :counts)))
    (message "Quicksilver is %s: %s. Shown %s, accepted %s, in part %s."
             (quicksilver-server-get status :state)
             (quicksilver-server-get status :message)
             (or (quicksilver-server-get counts :shown) 0)
             (or (quicksilver-server-get counts :accepted) 0)
             (or (quicksilver-server-get counts :partially_accepted) 0))))

(defun quicksilver-toggle ()
  "Switch completions off in all buffers of this server, or on again."
  (interactive)
  (quicksilver-commands--run "quicksilver.toggle" nil #'quicksilver-commands--tell))

(defun quicksilver-snooze (minutes)
  "Have no automatic completions for MINUTES, by default 10; 0 ends that."
  (interactive "P")
  (quicksilver-commands--run "quicksilver.snooze"
                             (list (if minutes (prefix-numeric-value minutes) 10))
                             #'quicksilver-commands--tell))

(defun quicksilver-restart-engine ()
  "Stop the process with the model in it, and start it again."
  (interactive)
  (quicksilver-commands--run "quicksilver.restartEngine" nil #'quicksilver-commands--tell))

(defun quicksilver-why ()
  "Say why the last answer here was empty."
  (interactive)
  (let ((uri (thread-first (quicksilver-server-find-or-say)
                           (quicksilver-server-position-params)
                           (quicksilver-server-get :textDocument)
                           (quicksilver-server-get :uri))))
    (quicksilver-commands--run
     "quicksilver.why" `((:uri ,uri))
     (lambda (_ answer)
       (let ((why (quicksilver-server-get answer :why)))
         (message "%s" (if (stringp why) why (mapconcat #'identity why "\n"))))))))

(defun quicksilver-log ()
  "Show the log of the server, and that of the engine if there is one."
  (interactive)
  (quicksilver-commands--run
   "quicksilver.showLog" nil
   (lambda (connection answer)
     (let ((file (quicksilver-server-get answer :engine_log))
           (buffer (quicksilver-server-stderr connection)))
       (when buffer
         (display-buffer buffer))
       (when (and file (file-readable-p file))
         (display-buffer (find-file-noselect file)))
       (unless (or buffer (and file (file-readable-p file)))
         (message "Quicksilver has logged nothing yet"))))))

(defun quicksilver-apply-settings ()
  "Send `quicksilver-settings' to the running server."
  (interactive)
  (quicksilver-server-notify (quicksilver-server-find-or-say)
                             "workspace/didChangeConfiguration"
                             `(:settings (:quicksilver ,(quicksilver-server-settings)))))

(defun quicksilver-commands-lighter ()
  "The name for the mode line, with the state unless that is ready."
  (let* ((connection (quicksilver-server-find))
         (status (quicksilver-server-status connection))
         (state (cond (status (quicksilver-server-get status :state))
                      (connection "ready")
                      (t "none"))))
    (propertize (if (equal state "ready") " Qs" (concat " Qs:" state))
                'help-echo (if status
                               (quicksilver-server-get status :message)
                             "Quicksilver's server does not run in this buffer"))))

(provide 'quicksilver-commands)
;;; quicksilver-commands.el ends here
