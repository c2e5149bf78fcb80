--- When nothing may be shown or asked, whatever the server would say.

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

--- Whether a buffer is one that people write code in: a named file that may be changed.
function M.is_file(bufnr)
  local name = vim.api.nvim_buf_get_name(bufnr)
  local options = vim.bo[bufnr]
  return name ~= ''
    and name:match('^%a[%w+.-]+://') == nil
    and (options.buftype == '' or options.buftype == 'acwrite')
    and options.modifiable
    and not options.readonly
end

--- Whether a buffer wants completions: its filetype, the person's own rule, b:quicksilver_enabled.
function M.wants(bufnr)
  if not M.is_file(bufnr) or vim.b[bufnr].quicksilver_enabled == false then
    return false
  end
  if not config.wants_filetype(vim.bo[bufnr].filetype) then
    return false
  end
  local rule = config.current.enabled_for
  return rule == nil or rule(bufnr) == true
end

--- Whether a person is typing plain text into the current buffer: no replace mode, no macro, no paste.
function M.is_typing()
  local mode = vim.api.nvim_get_mode().mode
  return (mode == 'i' or mode == 'ic' or mode == 'ix') and not vim.o.paste and not is_repeated()
end

--- Whether the popup menu leaves no room for ghost text: it is open, and the person's options or choice say so.
function M.menu_in_the_way()
  if vim.fn.pumvisible() == 0 then
    return false
  end
  return config.current.popup_menu == 'hide' or vim.fn.complete_info({ 'selected' }).selected ~= -1
end

return M
