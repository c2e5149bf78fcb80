;;; quicksilver.el --- Local code completion as grey text -*- lexical-binding: t; -*-

;; Copyright (C) 2026 The Quicksilver authors
;; SPDX-License-Identifier: Apache-2.0

;; Author: The Quicksilver authors
;; Version: 0.1.0
;; Package-Requires: ((emacs "28.1") (lsp-mode "8.0"))
;; Keywords: convenience, languages
;; URL: https://github.com/quicksilver-lsp/quicksilver

;;; Commentary:

;; Shows what Quicksilver's language server would write at the cursor, as grey
;; text, a moment after you stop typing.
;;
;;   (require 'quicksilver)
;;   (setq quicksilver-command '("/path/to/quicksilver" "lsp"))
;;   (global-quicksilver-mode)
;;
;; While grey text is on show, TAB takes all of it, C-<right> a word, C-<down> a
;; line, M-n and M-p show other texts, and C-g puts it away; typing what it says
;; keeps it.  At all other times these keys are what they always were.  The keys
;; are in `quicksilver-ghost-map'; `quicksilver-complete' asks by hand and has no
;; key until you give it one.

;;; Code:

(require 'quicksilver-ghost)
(require 'quicksilver-server)
(require 'quicksilver-commands)

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

(defcustom quicksilver-inhibit-functions '(quicksilver-popup-p quicksilver-elsewhere-p)
  "Functions without arguments; where one returns non-nil, no grey text is shown."
  :group 'quicksilver
  :type 'hook)

(defconst quicksilver--word "\\`[ \t\n\r]*\\(?:[[:alnum:]_]+\\|[^[:alnum:]_ \t\n\r]+\\)"
  "What `quicksilver-accept-word' takes.")
(defconst quicksilver--line "\\`\n*[^\n]+"
  "What `quicksilver-accept-line' takes.")

(defvar-local quicksilver--seen nil "List: tick, size and point when they were last looked at.")
(defvar-local quicksilver--timer nil "Runs when the next completion is to be asked for.")
(defvar-local quicksilver--connection nil "Where a completion is being asked for, else nil.")
(defvar-local quicksilver--told nil "The items that the server knows to have been on show.")

;;; When to ask

(defun quicksilver-popup-p ()
  "Whether a menu of completions is open: it comes first."
  (or completion-in-region-mode
      (bound-and-true-p company-candidates)
      (minibufferp)))

(defun quicksilver-elsewhere-p ()
  "Whether what happens in this buffer is not typing at one place."
  (or buffer-read-only
      executing-kbd-macro
      (region-active-p)
      (bound-and-true-p multiple-cursors-mode)
      (and (bound-and-true-p evil-local-mode)
           (not (memq (bound-and-true-p evil-state) '(insert replace emacs))))))

(defun quicksilver--inhibited-p ()
  "Whether no grey text may be shown now."
  (run-hook-with-args-until-success 'quicksilver-inhibit-functions))

(defun quicksilver--look ()
  "The tick and size of the buffer, and point: what an answer is about."
  (list (buffer-chars-modified-tick) (buffer-size) (point)))

(defun quicksilver--post-command ()
  "Keep the grey text in step with the buffer, and ask for more after typing."
  (let ((before quicksilver--seen)
        (now (quicksilver--look)))
    (unless (equal before now)
      (setq quicksilver--seen now)
      (with-demoted-errors "Quicksilver: %S"
        (quicksilver--cancel)
        (cond ((quicksilver--inhibited-p) (quicksilver-ghost-hide))
              ((and quicksilver-ghost--shown (quicksilver-ghost-refresh)))
              ;; After a deletion or an undo the person knows what they do not want.
              ((and before (> (nth 1 now) (nth 1 before)) (not (memq this-command '(undo undo-only undo-redo))))
               (quicksilver--ask-soon)))))))

(defun quicksilver--cancel ()
  "Forget what was asked or is about to be asked."
  (when quicksilver--timer
    (cancel-timer quicksilver--timer)
    (setq quicksilver--timer nil))
  (when quicksilver--connection
    (quicksilver-server-cancel quicksilver--connection)
    (setq quicksilver--connection nil)))

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
      (when (and quicksilver-mode (not (quicksilver--inhibited-p)))
        (quicksilver--ask nil #'quicksilver--show)))))

(defun quicksilver--ask (invoked then)
  "Ask for completions at point, by hand if INVOKED.
THEN gets those that still fit.  Return nil when there is no server to ask."
  (when-let ((connection (quicksilver-server-find)))
    (let ((asked (quicksilver--look))
          (version (quicksilver-server-version connection)))
      (quicksilver--cancel)
      (setq quicksilver--connection connection)
      (quicksilver-server-request
       connection quicksilver-server-completion
       (append (quicksilver-server-position-params connection)
               `(:context (:triggerKind ,(if invoked 1 2))))
       (lambda (answer)
         (setq quicksilver--connection nil)
         (when (and quicksilver-mode
                    (equal asked (quicksilver--look))
                    (equal version (quicksilver-server-version connection))
                    (eq (current-buffer) (window-buffer (selected-window)))
                    (not (quicksilver--inhibited-p)))
           (funcall then (quicksilver--offers connection answer))))))
    t))

(defun quicksilver--offers (connection answer)
  "What can be shown at point of ANSWER, which is CONNECTION's."
  (let ((items (if (or (vectorp answer) (null answer)) answer (quicksilver-server-get answer :items))))
    (delq nil (mapcar (lambda (item) (quicksilver--offer connection item)) items))))

(defun quicksilver--offer (connection item)
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

(defun quicksilver--show (texts)
  "Show the first of TEXTS that fits, and tell the server."
  (when (quicksilver-ghost-show texts)
    (quicksilver--tell-shown)))

(defun quicksilver--tell-shown ()
  "Tell the server what is on show, once for each item."
  (let ((item (quicksilver-ghost-raw))
        (connection (quicksilver-server-find)))
    (when (and connection (not (memq item quicksilver--told)))
      (setq quicksilver--told (cons item (seq-take quicksilver--told 8)))
      (quicksilver-server-notify connection "textDocument/didShowCompletion" `(:item ,item)))))

;;; What to do with it

(defun quicksilver--accept (regexp)
  "Take what REGEXP matches of the grey text, and tell the server."
  (unless quicksilver-ghost--shown
    (user-error "There is no grey text"))
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
  "Take all of the grey text."
  (interactive)
  (quicksilver--accept nil))

(defun quicksilver-accept-word ()
  "Take the next word of the grey text."
  (interactive)
  (quicksilver--accept quicksilver--word))

(defun quicksilver-accept-line ()
  "Take the grey text up to the end of its next line."
  (interactive)
  (quicksilver--accept quicksilver--line))

(defun quicksilver-dismiss ()
  "Put the grey text away until something else is typed."
  (interactive)
  (quicksilver--cancel)
  (quicksilver-ghost-hide))

(defun quicksilver-complete ()
  "Ask for a completion here and now, whatever the settings say."
  (interactive)
  (unless (quicksilver--ask t (lambda (offers)
                                (unless (quicksilver--show offers)
                                  (message "Quicksilver: nothing to write here (M-x quicksilver-why)"))))
    (user-error "Quicksilver's server does not run in this buffer")))

(defun quicksilver-next (&optional n)
  "Show the Nth next text instead.
The server is asked for more when there is only one."
  (interactive "p")
  (if (cdr quicksilver-ghost--offers)
      (progn (quicksilver-ghost-cycle (or n 1))
             (quicksilver--tell-shown))
    (let ((text (and quicksilver-ghost--current (quicksilver-ghost-offer-text quicksilver-ghost--current))))
      (quicksilver--ask t (lambda (offers)
                            (if (null offers)
                                (message "Quicksilver: there is nothing else")
                              (quicksilver-ghost-show offers)
                              ;; The best one may be what was on show.
                              (when (and (cdr offers) (equal text (quicksilver-ghost-offer-text (car offers))))
                                (quicksilver-ghost-cycle (or n 1)))
                              (quicksilver--tell-shown)))))))

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
  "Show what could be written next as grey text.
\\{quicksilver-ghost-map}"
  :lighter (:eval (quicksilver-commands-lighter))
  :keymap quicksilver-mode-map
  (if quicksilver-mode
      (quicksilver--begin)
    (quicksilver--end)))

(defconst quicksilver--hooks
  '((post-command-hook . quicksilver--post-command)
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
  ;; lsp-mode 9 has grey text of its own, which asks all servers.
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
  "Grey text is for who types: hide it when WINDOW is not theirs any more."
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
