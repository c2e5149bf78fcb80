--- Puts a suggestion, or a part of it, into the text: as one step to undo, with the cursor behind it.

local places = require('quicksilver.place')
local session = require('quicksilver.session')

local M = {}

local BREAK_UNDO = vim.api.nvim_replace_termcodes('<C-g>u', true, true, true)
local COMMAND = vim.api.nvim_replace_termcodes('<Cmd>', true, true, true)
local ENTER = vim.api.nvim_replace_termcodes('<CR>', true, true, true)

--- Insert a part ('all', 'word' or 'line') of what is on show. It is one step to undo only between two undo breaks,
--- which need keys: see accept().
function M.insert(part)
  local suggestion = session.on_show()
  if suggestion == nil then
    return
  end
  local place, text = places.now(), suggestion:part(part)
  local lines = vim.split(text, '\n', { plain = true })
  vim.api.nvim_buf_set_text(place.bufnr, place.row, place.col, place.row, place.col, lines)
  local col = #lines[#lines] + (#lines == 1 and place.col or 0)
  vim.api.nvim_win_set_cursor(0, { place.row + #lines, col })
  session.took(text)
end

--- Accept a part of what is on show, before any key that waits. Returns whether there was something to accept.
function M.accept(part)
  if session.on_show() == nil then
    return false
  end
  if part == 'all' and vim.fn.pumvisible() == 1 then
    part = 'line' -- of several lines only the first is on show while the menu is open
  end
  local insert = ("lua require('quicksilver.acceptance').insert('%s')"):format(part)
  vim.api.nvim_feedkeys(BREAK_UNDO .. COMMAND .. insert .. ENTER .. BREAK_UNDO, 'in', false)
  return true
end

return M
