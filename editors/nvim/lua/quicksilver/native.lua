--- Neovim's own inline completion (0.12 and newer), for client = 'native'. It cannot accept a part, dismiss or
--- ask on request; the first two are built here on what it has, the third is not possible.

local M = {}

--- Whether this Neovim has one.
function M.exists()
  return vim.lsp.inline_completion ~= nil
end

--- Switch it on or off for a server.
function M.enable(client, enabled)
  if M.exists() then
    vim.lsp.inline_completion.enable(enabled, { client_id = client.id })
  end
end

local function first_part(item, part)
  local text = item.insert_text
  if part == 'all' or type(text) ~= 'string' then
    return item
  end
  local suggestion = require('quicksilver.suggestion').new({ { insertText = text } }, { fileformat = 'unix' })
  item.insert_text = suggestion and suggestion:part(part) or text
  item.command = item.insert_text == text and item.command or nil
  return item
end

--- Accept a part ('all', 'word' or 'line'). Returns whether there was something to accept.
function M.accept(part)
  return vim.lsp.inline_completion.get({
    on_accept = function(item)
      return first_part(item, part)
    end,
  })
end

--- Turn to another item.
function M.turn(step)
  vim.lsp.inline_completion.select({ count = step })
end

--- Put away what is on show at the cursor.
function M.dismiss(client)
  M.enable(client, false)
  M.enable(client, true)
end

return M
