;;; quicksilver.el --- Local code completion as ghost text -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (lsp-mode "8.0"))
;; Keywords: convenience, languages

;;; Commentary:

;; Shows what Quicksilver's language server would write at the cursor, as ghost
;; text, a moment after you stop typing.
;;
;;   (require 'quicksilver)
;;   (setq quicksilver-command '("/path/to/quicksilver" "lsp"))
;;   (global-quicksilver-mode)
;;
;; While ghost text is on show, TAB takes all of it, C-<right> a word, C-<down> a
;; line, M-n and M-p show other texts, and C-g dismisses it.  Keep typing to
;; follow it.  At all other times these keys fall through.  They are in
;; `quicksilver-ghost-map'; `quicksilver-complete' asks on request and has no key
;; until you give it one.

;;; Code:

(require 'quicksilver-ghost)
(require 'quicksilver-server)
(require 'quicksilver-ask)
(require 'quicksilver-commands)

(declare-function lsp "lsp-mode")
(declare-function lsp-deferred "lsp-mode")
(declare-function lsp-inline-completion-mode "lsp-inline-completion")
(defvar quicksilver-mode)

(defcustom quicksilver-idle-delay 0.08
  "Seconds without a key before a completion is asked for."
  :group 'quicksilver
  :type 'number)

(defcustom quicksilver-automatic t
  "Whether completions come while you type; else only `quicksilver-complete' asks."
  :group 'quicksilver
  :type 'boolean)

(defcustom quicksilver-start-lsp t
  "Whether `quicksilver-mode' starts lsp-mode where no client runs."
  :group 'quicksilver
  :type 'boolean)

(defconst quicksilver--patience 20 "Seconds in which a server that was asked for should be there.")
(defconst quicksilver--word "\\`[ \t\n\r]*\\(?:[[:alnum:]_]+\\|[^[:alnum:]_ \t\n\r]+\\)"
  "What `quicksilver-accept-word' takes.")
(defconst quicksilver--line "\\`\n*[^\n]+"
  "What `quicksilver-accept-line' takes.")

(defvar-local quicksilver--seen nil "List: tick and point when they were last looked at.")
(defvar-local quicksilver--grew nil "Non-nil when text was put in since then.")
(defvar-local quicksilver--timer nil "Runs when the next completion is to be asked for.")

;;; When to ask

(defun quicksilver--after-change (beginning end _)
  "Note whether there is text from BEGINNING to END that was not there before."
  (when (> end beginning)
    (setq quicksilver--grew t)))

(defun quicksilver--post-command ()
  "Keep the ghost text in step with the buffer, and ask for more after typing."
  (let ((before quicksilver--seen)
        (grew quicksilver--grew)
        (now (quicksilver-ask-look)))
    (unless (equal before now)
      (setq quicksilver--seen now
            quicksilver--grew nil)
      (with-demoted-errors "Quicksilver: %S"
        (quicksilver--forget)
        (cond ((quicksilver-ask-inhibited-p) (quicksilver-ghost-hide))
              ((and quicksilver-ghost-shown (quicksilver-ghost-refresh)))
              ;; After a deletion or an undo the person knows what they do not want.
              ((and before grew (not (memq this-command '(undo undo-only undo-redo))))
               (quicksilver--ask-soon)))))))

(defun quicksilver--forget ()
  "Forget what was asked or is about to be asked."
  (when quicksilver--timer
    (cancel-timer quicksilver--timer)
    (setq quicksilver--timer nil))
  (quicksilver-ask-cancel))

(defun quicksilver--ask-soon ()
  "Ask for a completion when no key comes for `quicksilver-idle-delay' seconds."
  (when quicksilver-automatic
    (setq quicksilver--timer
          (run-with-idle-timer quicksilver-idle-delay nil #'quicksilver--ask-in (current-buffer)))))

(defun quicksilver--ask-in (buffer)
  "Ask for a completion if BUFFER is where the person is."
  (when (eq buffer (window-buffer (selected-window)))
    (with-current-buffer buffer
      (setq quicksilver--timer nil)
      (when-let ((connection (and quicksilver-mode
                                  (not (quicksilver-ask-inhibited-p))
                                  (quicksilver-server-find))))
        (quicksilver-ask connection nil #'quicksilver-ask-show)))))

;;; What to do with it

(defun quicksilver--accept (regexp)
  "Take what REGEXP matches of the ghost text, and tell the server."
  (unless quicksilver-ghost-shown
    (user-error "There is no ghost text"))
  (let* ((item (quicksilver-ghost-raw))
         (command (quicksilver-server-get item :command))
         (is-all (quicksilver-ghost-take regexp)))
    (when-let ((connection (quicksilver-server-find)))
      (cond ((not is-all)
             (quicksilver-server-notify connection "textDocument/didPartiallyAcceptCompletion"
                                        `(:item ,item :acceptedLength ,(quicksilver-ghost-units-taken))))
            (command
             (quicksilver-server-request connection "workspace/executeCommand"
                                         `( :command ,(quicksilver-server-get command :command)
                                            :arguments ,(quicksilver-server-get command :arguments))
                                         #'ignore))))))

(defun quicksilver-accept ()
  "Take all of the ghost text."
  (interactive)
  (quicksilver--accept nil))

(defun quicksilver-accept-word ()
  "Take the next word of the ghost text."
  (interactive)
  (quicksilver--accept quicksilver--word))

(defun quicksilver-accept-line ()
  "Take the ghost text up to the end of its next line."
  (interactive)
  (quicksilver--accept quicksilver--line))

(defun quicksilver-dismiss ()
  "Put the ghost text away until something else is typed."
  (interactive)
  (quicksilver--forget)
  (quicksilver-ghost-hide))

(defun quicksilver-complete ()
  "Ask for a completion here and now, whatever the settings say.
Where no server runs in this buffer, it is started first."
  (interactive)
  (when (quicksilver-ask-inhibited-p)
    (user-error "Quicksilver shows nothing in a selection, a menu, a macro or read-only text"))
  (if-let ((connection (quicksilver-server-find)))
      (quicksilver-ask connection t
                       (lambda (offers)
                         (unless (quicksilver-ask-show offers)
                           (message "Quicksilver: nothing to write here (M-x quicksilver-why)"))))
    (quicksilver--start)
    (message "Quicksilver: the language server is starting")
    (quicksilver--await (current-buffer) (quicksilver-ask-look) (+ (float-time) quicksilver--patience))))

(defun quicksilver--start ()
  "Have the server started in this buffer, or say why that cannot be."
  (unless (and buffer-file-name (not (file-remote-p buffer-file-name)))
    (user-error "Quicksilver completes files on this machine: save this buffer in one first"))
  (unless (executable-find (car quicksilver-command))
    (user-error "Quicksilver's server: there is no program %s" (car quicksilver-command)))
  (unless quicksilver-start-lsp
    (user-error "Quicksilver's server does not run in this buffer: start its client (M-x eglot)"))
  (if (bound-and-true-p lsp-mode)
      (lsp)
    (quicksilver-mode)))

(defun quicksilver--await (buffer look deadline)
  "Complete in BUFFER once it has a server, if LOOK is still what is seen there.
After DEADLINE, in seconds, give up."
  (run-with-timer
   0.2 nil
   (lambda ()
     (when (buffer-live-p buffer)
       (with-current-buffer buffer
         (cond ((not (equal look (quicksilver-ask-look))))
               ((quicksilver-server-find) (quicksilver-complete))
               ((< (float-time) deadline) (quicksilver--await buffer look deadline))
               (t (message "Quicksilver: the server does not start here (M-x lsp-describe-session)"))))))))

(defun quicksilver-next (&optional n)
  "Show the Nth next text instead.
The server is asked for more when there is only one."
  (interactive "p")
  (if (cdr quicksilver-ghost-offers)
      (progn (quicksilver-ghost-cycle (or n 1))
             (quicksilver-ask-tell-shown))
    (let ((text (and quicksilver-ghost-current (quicksilver-ghost-offer-text quicksilver-ghost-current))))
      (quicksilver-ask (quicksilver-server-find-or-say) t
                        (lambda (offers) (quicksilver--show-others offers text (or n 1)))))))

(defun quicksilver--show-others (texts shown n)
  "Show the first of TEXTS, or the Nth after it when the first is what was SHOWN."
  (if (not (quicksilver-ghost-show texts))
      (message "Quicksilver: there is nothing else")
    (when (equal shown (quicksilver-ghost-offer-text (car texts)))
      (quicksilver-ghost-cycle n))
    (quicksilver-ask-tell-shown)))

(defun quicksilver-previous (&optional n)
  "Show the Nth previous text instead."
  (interactive "p")
  (quicksilver-next (- (or n 1))))

(let ((map quicksilver-ghost-map))
  (define-key map (kbd "TAB") #'quicksilver-accept)
  (define-key map (kbd "<tab>") #'quicksilver-accept)
  (define-key map (kbd "C-<right>") #'quicksilver-accept-word)
  (define-key map (kbd "C-<down>") #'quicksilver-accept-line)
  (define-key map (kbd "M-n") #'quicksilver-next)
  (define-key map (kbd "M-p") #'quicksilver-previous)
  (define-key map (kbd "C-g") #'quicksilver-dismiss))

;;; Modes

(defvar quicksilver-mode-map (make-sparse-keymap)
  "Keymap of `quicksilver-mode'; empty, for you to fill.")

;;;###autoload
(define-minor-mode quicksilver-mode
  "Show what could be written next as ghost text.
\\{quicksilver-ghost-map}"
  :lighter (:eval (quicksilver-commands-lighter))
  :keymap quicksilver-mode-map
  (if quicksilver-mode
      (quicksilver--begin)
    (quicksilver--end)))

(defconst quicksilver--hooks
  '((after-change-functions . quicksilver--after-change)
    (post-command-hook . quicksilver--post-command)
    (change-major-mode-hook . quicksilver-ghost-hide)
    (window-selection-change-functions . quicksilver--window-changed)
    (completion-in-region-mode-hook . quicksilver--popup-changed)
    (company-completion-started-hook . quicksilver--popup-changed)
    (company-after-completion-hook . quicksilver--popup-changed))
  "What `quicksilver-mode' hangs into hooks of the buffer.")

(defun quicksilver--begin ()
  "Set the buffer up."
  (pcase-dolist (`(,hook . ,function) quicksilver--hooks)
    (add-hook hook function nil t))
  ;; lsp-mode 9 has ghost text of its own, which asks all servers.
  (setq-local lsp-inline-completion-enable nil)
  (when (bound-and-true-p lsp-inline-completion-mode)
    (lsp-inline-completion-mode -1))
  (when (and quicksilver-start-lsp
             (not (bound-and-true-p lsp-mode))
             (not (bound-and-true-p eglot--managed-mode)))
    (when (require 'quicksilver-lsp nil t)
      (lsp-deferred))))

(defun quicksilver--end ()
  "Leave the buffer as it was."
  (quicksilver-dismiss)
  (pcase-dolist (`(,hook . ,function) quicksilver--hooks)
    (remove-hook hook function t))
  (kill-local-variable 'lsp-inline-completion-enable))

(defun quicksilver--window-changed (window)
  "Ghost text is for who types: hide it when WINDOW is not theirs any more."
  (unless (eq window (selected-window))
    (with-current-buffer (window-buffer window)
      (quicksilver-dismiss))))

(defun quicksilver--popup-changed (&rest _)
  "Give way to a menu that opens; ask again when it was closed."
  (quicksilver-dismiss)
  (unless (quicksilver-popup-p)
    (quicksilver--ask-soon)))

(defun quicksilver--turn-on ()
  "Turn `quicksilver-mode' on in a buffer that has a local file and a wanted mode."
  (when (and buffer-file-name
             (not (file-remote-p buffer-file-name))
             (apply #'derived-mode-p quicksilver-modes))
    (quicksilver-mode)))

;;;###autoload
(define-globalized-minor-mode global-quicksilver-mode quicksilver-mode quicksilver--turn-on
  :group 'quicksilver)

;; lsp-mode chooses its servers when it starts in a buffer: ours has to be known by then.
(with-eval-after-load 'lsp-mode
  (require 'quicksilver-lsp))

(provide 'quicksilver)
;;; quicksilver.el ends here
