--- When nothing may be shown or asked.

local config = require('quicksilver.config')

local M = {}

--- Set while text is typed that Neovim will repeat on many lines (I, A or c in a visual block).
M.in_block_insert = false

local function is_repeated()
  return M.in_block_insert
    or vim.fn.reg_recording() ~= ''
    or vim.fn.reg_executing() ~= ''
    or vim.b.visual_multi ~= nil
end

--- Why a buffer has no completions at all, in one line; nil where it may have some.
function M.objection(bufnr)
  local name, options, rule = vim.api.nvim_buf_get_name(bufnr), vim.bo[bufnr], config.current.enabled_for
  if name:match('^%a[%w+.-]+://') ~= nil or (options.buftype ~= '' and options.buftype ~= 'acwrite') then
    return 'this buffer is not a file'
  end
  if name == '' then
    return 'this buffer has no name; save it first'
  end
  if not options.modifiable or options.readonly then
    return 'this buffer is read-only'
  end
  if vim.b[bufnr].quicksilver_enabled == false then
    return 'b:quicksilver_enabled switches completions off in this buffer'
  end
  if rule ~= nil and rule(bufnr) ~= true then
    return 'the option enabled_for leaves this buffer out'
  end
  return nil
end

--- Whether completions come by themselves in a buffer of this filetype.
function M.wants(bufnr)
  return config.wants_filetype(vim.bo[bufnr].filetype) and M.objection(bufnr) == nil
end

--- Whether keys go into the text, in whatever way.
function M.is_inserting()
  return vim.api.nvim_get_mode().mode:match('^[iR]') ~= nil
end

--- Why nothing may be shown in the current buffer just now, in one line; nil where a person types plain text.
function M.interruption()
  local mode = vim.api.nvim_get_mode().mode
  if mode ~= 'i' and mode ~= 'ic' and mode ~= 'ix' then
    return 'completions are shown in insert mode only'
  end
  if vim.o.paste then
    return "nothing is shown while 'paste' is set"
  end
  return is_repeated() and 'nothing is shown in text that is recorded or repeated' or nil
end

--- Whether a person is typing plain text into the current buffer: no replace mode, no macro, no paste.
function M.is_typing()
  return M.interruption() == nil
end

--- Whether the popup menu leaves no room for ghost text: it is open, and the person's options or choice say so.
function M.menu_in_the_way()
  if vim.fn.pumvisible() == 0 then
    return false
  end
  return config.current.popup_menu == 'hide' or vim.fn.complete_info({ 'selected' }).selected ~= -1
end

return M
