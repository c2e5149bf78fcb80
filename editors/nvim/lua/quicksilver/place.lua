--- Where the cursor stands, in which state of which buffer. Rows count from 0, columns are bytes.

local M = {}

--- The place of the cursor now.
function M.now()
  local bufnr = vim.api.nvim_get_current_buf()
  local cursor = vim.api.nvim_win_get_cursor(0)
  return {
    bufnr = bufnr,
    tick = vim.api.nvim_buf_get_changedtick(bufnr),
    row = cursor[1] - 1,
    col = cursor[2],
  }
end

--- Whether two places are one, in the same state of the same buffer. Either may be nil.
function M.same(one, other)
  return one ~= nil
    and other ~= nil
    and one.bufnr == other.bufnr
    and one.tick == other.tick
    and one.row == other.row
    and one.col == other.col
end

local function line_of(bufnr, row)
  return vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
end

--- What stands left of a place in its line.
function M.left(place)
  return line_of(place.bufnr, place.row):sub(1, place.col)
end

--- What stands right of a place in its line; a carriage return at its end (a file of two minds) belongs to the break.
function M.right(place)
  return (line_of(place.bufnr, place.row):sub(place.col + 1):gsub('\r$', ''))
end

--- The text from an earlier place to this one, whose buffer may have changed since; nil where it stands before it.
function M.text_since(place, earlier)
  if place.row < earlier.row or (place.row == earlier.row and place.col < earlier.col) then
    return nil
  end
  local lines = vim.api.nvim_buf_get_lines(place.bufnr, earlier.row, place.row + 1, false)
  if #lines == 0 then
    return nil
  end
  lines[#lines] = lines[#lines]:sub(1, place.col)
  lines[1] = lines[1]:sub(earlier.col + 1)
  return table.concat(lines, '\n')
end

return M
