--- Texts as cells of the screen: tabs have a width, lines are broken at the window's edge.

local M = {}

--- The number of cells that a text without tabs takes.
function M.width(text)
  return vim.fn.strdisplaywidth(text)
end

--- A text as it looks from a column on: tabs become spaces, what cannot be printed is made visible.
function M.plain(text, column, tabstop)
  local out, at = {}, column
  for piece, tab in text:gsub('\r$', ''):gmatch('([^\t]*)(\t?)') do
    piece = vim.fn.strtrans(piece)
    at = at + M.width(piece)
    if tab ~= '' then
      local n_spaces = tabstop - at % tabstop
      piece, at = piece .. (' '):rep(n_spaces), at + n_spaces
    end
    table.insert(out, piece)
  end
  return table.concat(out)
end

--- Break chunks ({text, group}) into rows of at most `width` cells, the first of at most `first_width`.
function M.broken(chunks, first_width, width)
  local rows, room = { {} }, first_width
  for _, chunk in ipairs(chunks) do
    local text = chunk[1]
    while M.width(text) > room do
      local head = room > 0 and vim.fn.printf('%.' .. room .. 'S', text) or ''
      if head ~= '' then
        table.insert(rows[#rows], { head, chunk[2] })
      end
      if head == '' and room == width then
        break -- a window too narrow for one character
      end
      text, room = text:sub(#head + 1), width
      table.insert(rows, {})
    end
    if text ~= '' then
      table.insert(rows[#rows], { text, chunk[2] })
      room = room - M.width(text)
    end
  end
  return rows
end

return M
