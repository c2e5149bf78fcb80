--- Text that stands in a buffer, as chunks with its own colours: for where it has to be drawn at another place.

local M = {}

local MAX_COLOURED_BYTES = 200 -- looking colours up takes a while; what lies further right keeps the plain colour

local function syntax_group(row, col)
  local id = vim.fn.synIDtrans(vim.fn.synID(row + 1, col + 1, 1))
  return id ~= 0 and vim.fn.synIDattr(id, 'name') or nil
end

local function tree_group(bufnr, row, col)
  local treesitter = vim.treesitter
  local active = treesitter and treesitter.highlighter and treesitter.highlighter.active[bufnr]
  if not active or treesitter.get_captures_at_pos == nil then
    return nil
  end
  local captures = treesitter.get_captures_at_pos(bufnr, row, col)
  local last = captures[#captures]
  return last and '@' .. last.capture or nil
end

--- The chunks of a text that stands at a place of the current buffer: {text, group}, without a group where it has the
--- plain colour.
function M.chunks(place, text)
  local chunks = {}
  local start = 1
  while start <= #text do
    local stop = start
    while stop < #text and text:byte(stop + 1) >= 128 and text:byte(stop + 1) < 192 do
      stop = stop + 1 -- the rest of a character
    end
    local col = place.col + start - 1
    local group
    if start <= MAX_COLOURED_BYTES then
      group = tree_group(place.bufnr, place.row, col) or syntax_group(place.row, col)
    else
      stop = #text
    end
    local last = chunks[#chunks]
    if last ~= nil and last[2] == group then
      last[1] = last[1] .. text:sub(start, stop)
    else
      table.insert(chunks, { text:sub(start, stop), group })
    end
    start = stop + 1
  end
  return chunks
end

return M
