--- Lengths of texts in the units that the Language Server Protocol counts in. Texts are UTF-8, as all of Neovim's are.

local M = {}

local function count(text, pattern)
  return select(2, text:gsub(pattern, ''))
end

--- The length of text in an encoding: 'utf-8' bytes, 'utf-16' code units, 'utf-32' code points.
function M.length(text, encoding)
  if encoding == 'utf-8' then
    return #text
  end
  local n_code_points = count(text, '[^\128-\191]')
  if encoding == 'utf-32' then
    return n_code_points
  end
  return n_code_points + count(text, '[\240-\247]') -- four bytes are a surrogate pair
end

return M
