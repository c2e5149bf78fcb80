--- The ghost text on the screen: one text, in one buffer.

local layout = require('quicksilver.layout')

local M = {}

local namespace = vim.api.nvim_create_namespace('quicksilver')
local TEXT_MARK, COUNT_MARK = 1, 2
local virtual_lines_scroll = vim.fn.has('nvim-0.11') == 1

local drawn -- the buffer where something is drawn, and what

--- Draw a text at a place; what was drawn before is replaced in one go. count: '(2/3)', or nil.
function M.draw(place, text, left, right, count)
  if drawn ~= nil and drawn.bufnr ~= place.bufnr then
    M.clear()
  end
  local look = layout.of(place, text, left, right)
  local own_count = count ~= nil and right:match('^%s*$') ~= nil
  if own_count then
    table.insert(look.first, 2, { ' ' .. count, 'QuicksilverCount' })
  end
  vim.api.nvim_buf_set_extmark(place.bufnr, namespace, place.row, place.col, {
    id = TEXT_MARK,
    virt_text = #look.first > 0 and look.first or nil,
    virt_text_pos = #look.first > 0 and look.position or nil,
    virt_lines = #look.below > 0 and look.below or nil,
    virt_lines_overflow = virtual_lines_scroll and #look.below > 0 and 'scroll' or nil,
    hl_mode = 'replace', -- the bracket under the cursor must not give its colours to the text
    priority = 5000, -- before what other plugins draw at the same place (they say nothing: 4096)
  })
  if count ~= nil and not own_count then
    vim.api.nvim_buf_set_extmark(place.bufnr, namespace, place.row, place.col, {
      id = COUNT_MARK,
      virt_text = { { count, 'QuicksilverCount' } },
      virt_text_pos = 'eol',
      hl_mode = 'combine',
    })
  else
    vim.api.nvim_buf_del_extmark(place.bufnr, namespace, COUNT_MARK)
  end
  drawn = { bufnr = place.bufnr, text = text }
end

--- Say something in small print at the end of the line, where nothing else is drawn. In insert mode Neovim overwrites
--- the command line with the mode's name, so nobody would see it there.
function M.note(place, message)
  M.clear()
  vim.api.nvim_buf_set_extmark(place.bufnr, namespace, place.row, place.col, {
    id = COUNT_MARK,
    virt_text = { { '  (' .. message .. ')', 'QuicksilverCount' } },
    virt_text_pos = 'eol',
    hl_mode = 'combine',
  })
  drawn = { bufnr = place.bufnr }
end

--- Remove what is drawn.
function M.clear()
  if drawn ~= nil and vim.api.nvim_buf_is_valid(drawn.bufnr) then
    vim.api.nvim_buf_clear_namespace(drawn.bufnr, namespace, 0, -1)
  end
  drawn = nil
end

--- The text on show in a buffer, nil when there is none.
function M.text(bufnr)
  return drawn ~= nil and drawn.bufnr == bufnr and drawn.text or nil
end

--- Give the highlight groups their default links; a colour scheme or a person may set them differently.
function M.define_colours()
  vim.cmd('highlight default link QuicksilverGhost Comment')
  vim.cmd('highlight default link QuicksilverCount NonText')
end

return M
