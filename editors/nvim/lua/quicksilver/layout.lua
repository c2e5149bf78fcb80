--- The layout of ghost text on the screen: widths and rows. ghost.lua draws the marks.
---
--- What stands right of the cursor is never hidden without being shown elsewhere: it moves aside where this Neovim can
--- do that, is drawn again behind the ghost text where it cannot, and stands at the end of the last line where the text
--- has several. Where there is no room for that, the ghost text stands below the line.

local cells = require('quicksilver.cells')
local standing_text = require('quicksilver.standing_text')

local M = {}

local GHOST = 'QuicksilverGhost'
local has_inline = vim.fn.has('nvim-0.10') == 1
local rows_scroll = vim.fn.has('nvim-0.11') == 1 -- rows below a line move with it where lines are not broken

--- The current window, as far as it matters to a text at a place.
local function window_at(place, left)
  local win = vim.api.nvim_get_current_win()
  local width = math.max(vim.api.nvim_win_get_width(win) - vim.fn.getwininfo(win)[1].textoff, 1)
  local column = vim.fn.strdisplaywidth(left)
  local wraps = vim.wo[win].wrap
  local scrolled = wraps and 0 or vim.fn.winsaveview().leftcol
  return {
    column = column,
    tabstop = vim.bo[place.bufnr].tabstop,
    width = width,
    room = width - (column - scrolled), -- up to the window's edge; not positive where the line is broken before it
    indent = wraps and column % width or math.max(column - (rows_scroll and 0 or scrolled), 0),
    wraps = wraps,
  }
end

local function ghost_lines(text, window)
  local lines = vim.split(text, '\n', { plain = true })
  for index, line in ipairs(lines) do
    lines[index] = cells.plain(line, index == 1 and window.column or 0, window.tabstop)
  end
  return lines
end

--- Rows below the cursor's line. A long one is broken where the window breaks its own lines.
local function rows_below(lines, ending, window)
  local rows = {}
  for index = 2, #lines do
    local chunks = { { lines[index], GHOST } }
    if index == #lines then
      vim.list_extend(chunks, ending)
    end
    local broken = window.wraps and cells.broken(chunks, window.width, window.width) or { chunks }
    vim.list_extend(rows, broken)
  end
  return rows
end

--- Nothing stands right of the cursor.
local function at_line_end(lines, window)
  local below = rows_below(lines, {}, window)
  if has_inline then
    return { first = { { lines[1], GHOST } }, position = 'inline', below = below }
  end
  local rows = { { { lines[1], GHOST } } }
  if window.wraps and window.room > 0 then
    rows = cells.broken(rows[1], window.room, window.width)
  end
  local first = table.remove(rows, 1)
  if #rows == 0 and window.room > 0 then
    -- Other virtual text at the end of the line must not look like the rest of this one.
    table.insert(first, { (' '):rep(window.room - cells.width(lines[1])) })
  end
  return { first = first, position = 'overlay', below = vim.list_extend(rows, below) }
end

--- There is no room where the text would stand: it goes below, with a sign that points to its place.
local function below_line(lines, standing, window)
  local pointed = { (' '):rep(window.indent) .. '^ ' .. lines[1], GHOST }
  local rows = window.wraps and cells.broken({ pointed }, window.width, window.width) or { { pointed } }
  return { first = {}, position = 'overlay', below = vim.list_extend(rows, rows_below(lines, standing, window)) }
end

--- One line goes between what stands left and right of the cursor.
local function within_line(line, right, standing, window)
  if has_inline then
    return { first = { { line, GHOST } }, position = 'inline', below = {} }
  end
  if cells.width(line) + cells.width(right) > window.room then
    return below_line({ line }, {}, window)
  end
  return { first = vim.list_extend({ { line, GHOST } }, standing), position = 'overlay', below = {} }
end

--- Several lines: what stands right of the cursor goes to the end of the last one.
local function breaking_line(lines, right, standing, window)
  local first_width, right_width = cells.width(lines[1]), cells.width(right)
  if math.max(first_width, right_width) > window.room then
    return below_line(lines, standing, window)
  end
  local cover = (' '):rep(right_width - first_width)
  return {
    first = { { lines[1] .. cover, GHOST } },
    position = 'overlay',
    below = rows_below(lines, standing, window),
  }
end

local function arranged(place, lines, right, window)
  if right:match('^%s*$') then
    return at_line_end(lines, window)
  end
  local standing = standing_text.chunks(place, right)
  local column = window.column
  for _, chunk in ipairs(standing) do
    chunk[1] = cells.plain(chunk[1], column, window.tabstop)
    column = column + cells.width(chunk[1])
  end
  right = cells.plain(right, window.column, window.tabstop)
  if #lines == 1 then
    return within_line(lines[1], right, standing, window)
  end
  return breaking_line(lines, right, standing, window)
end

--- Chunks that are drawn over a line take the colour of the cursor's line with them.
local function on_cursor_line(chunks)
  if not vim.wo.cursorline or vim.wo.cursorlineopt == 'number' then
    return chunks
  end
  return vim.tbl_map(function(chunk)
    return { chunk[1], chunk[2] and { 'CursorLine', chunk[2] } or 'CursorLine' }
  end, chunks)
end

--- How a text at a place is drawn: chunks of the cursor's line, where these stand, and rows below it.
function M.of(place, text, left, right)
  local window = window_at(place, left)
  local look = arranged(place, ghost_lines(text, window), right, window)
  if look.position == 'overlay' then
    look.first = on_cursor_line(look.first)
  end
  return look
end

return M
