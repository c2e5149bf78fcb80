--- A suggestion: what the server offered at one place, and how much of it has been typed since. Pure: it is given
--- the buffer's text, and touches neither server nor screen.

local Suggestion = {}
Suggestion.__index = Suggestion

local M = {}

local function ends_with(text, ending)
  return ending == '' or text:sub(-#ending) == ending
end

--- The text to be inserted at the cursor, its lines separated by '\n'; nil for an item that is not what the protocol
--- promises. An item may replace what stands right of the cursor, and then ends with it: that part is left where it is.
local function insertion(item, asked, fileformat)
  local text, range = item.insertText, item.range
  if type(text) ~= 'string' then
    return nil
  end
  if fileformat ~= 'unix' then
    text = text:gsub('\r\n', '\n'):gsub('\r', '\n')
  end
  if range == nil or range == vim.NIL or vim.deep_equal(range.start, range['end']) then
    return text
  end
  local right = asked.right
  if not vim.deep_equal(range.start, asked.position) or not ends_with(text, right) then
    return nil
  end
  return text:sub(1, #text - #right)
end

--- A suggestion from the server's items; nil where none of them can be shown.
--- asked: client_id, place (row, col), position (LSP's), left and right (the line's text around it), fileformat.
function M.new(items, asked)
  local self = setmetatable({ items = {}, index = 1, n_typed = 0, place = asked.place }, Suggestion)
  self.left, self.right = asked.left, asked.right
  local seen = {}
  for _, item in ipairs(items) do
    local text = insertion(item, asked, asked.fileformat)
    if text ~= nil and text ~= '' and not seen[text] then
      seen[text] = true
      table.insert(self.items, { text = text, raw = item, client_id = asked.client_id })
    end
  end
  return #self.items > 0 and self or nil
end

--- The item on show.
function Suggestion:item()
  return self.items[self.index]
end

--- What is left of it right of the cursor.
function Suggestion:remaining()
  return self:item().text:sub(self.n_typed + 1)
end

--- Take over a bracket that another plugin closed: what the item ends with anyway need not be inserted.
local function closed_by_another(self, typed, right)
  local added = right:sub(1, #right - #self.right)
  local text = self:item().text
  local left_over = text:sub(#typed + 1)
  if added == '' or not ends_with(right, self.right) or added:match('^[%)%]}"\'`>]+$') == nil then
    return false
  end
  if text:sub(1, #typed) ~= typed or left_over:find('\n', 1, true) or not ends_with(left_over, added) then
    return false
  end
  self:item().text = text:sub(1, #text - #added)
  self.items, self.index = { self:item() }, 1
  self.right = right
  return true
end

--- Note what has been typed since: the text from its place to the cursor, nil for none that could be it, and what
--- stands left of its place and right of the cursor now. Returns false where it is no longer right, or typed whole.
function Suggestion:follow(typed, left, right)
  if typed == nil or left ~= self.left then
    return false
  end
  if right ~= self.right and not closed_by_another(self, typed, right) then
    return false
  end
  for step = 0, #self.items - 1 do
    local index = (self.index - 1 + step) % #self.items + 1
    local text = self.items[index].text
    if #typed < #text and text:sub(1, #typed) == typed then
      self.index, self.n_typed = index, #typed
      return true
    end
  end
  return false
end

--- Turn to another item that begins with what has been typed. step: 1 or -1.
function Suggestion:turn(step)
  local typed = self:item().text:sub(1, self.n_typed)
  local index = self.index
  repeat
    index = (index - 1 + step) % #self.items + 1
  until vim.startswith(self.items[index].text, typed) and #self.items[index].text > #typed
  self.index = index
end

local function word_end(text)
  -- Spaces and line breaks, then signs, then letters: "self", ".misses", " =", " 0".
  return select(2, text:find('^%s*[^%w_%s\128-\255]*[%w_\128-\255]*'))
end

local function line_end(text)
  -- A line break in front belongs to the line after it.
  local stop = text:find('\n', 2, true)
  return stop == nil and #text or stop - 1
end

--- The next part of what is left: 'all', 'word' or 'line'.
function Suggestion:part(kind)
  local text = self:remaining()
  local ends = { all = #text, word = word_end(text), line = line_end(text) }
  return text:sub(1, ends[kind])
end

return M
