--- Tells the server what became of an item: shown, taken in part, taken whole.

local connection = require('quicksilver.connection')
local offsets = require('quicksilver.offsets')

local M = {}

local function client_of(item)
  local client = vim.lsp.get_client_by_id(item.client_id)
  return client ~= nil and connection.is_open(client) and client or nil
end

--- An item is on show; said once for each.
function M.shown(item)
  local client = client_of(item)
  if client ~= nil and not item.was_shown then
    item.was_shown = true
    connection.notify(client, 'textDocument/didShowCompletion', { item = item.raw })
  end
end

--- The length of the first n_bytes of an item in its own insertText, which may have wider line breaks.
local function length_as_sent(item, n_bytes)
  local taken = item.text:sub(1, n_bytes)
  local wide_breaks = item.raw.insertText:find('\r\n', 1, true) and not item.text:find('\r\n', 1, true)
  local n_breaks = wide_breaks and select(2, taken:gsub('\n', '')) or 0
  return offsets.length(taken, 'utf-16') + n_breaks
end

--- The first n_bytes of an item are in the text now, and someone took the last of them.
function M.taken_in_part(item, n_bytes)
  local client = client_of(item)
  if client ~= nil then
    local params = { item = item.raw, acceptedLength = length_as_sent(item, n_bytes) }
    connection.notify(client, 'textDocument/didPartiallyAcceptCompletion', params)
  end
end

--- All of an item is in the text now.
function M.taken(item)
  local client, command = client_of(item), item.raw.command
  if client ~= nil and type(command) == 'table' then
    connection.execute(client, command.command, command.arguments)
  end
end

return M
