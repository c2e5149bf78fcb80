--- Sends messages to a language server, the same way in every version of Neovim.

local offsets = require('quicksilver.offsets')

local M = {}

local has_methods = vim.fn.has('nvim-0.11') == 1 -- before, a client's functions took no client

local function call(client, name, ...)
  if has_methods then
    return client[name](client, ...)
  end
  return client[name](...)
end

--- Send a request; pending changes of the buffer go first. Returns its id, nil when the server is gone.
function M.request(client, method, params, handler, bufnr)
  local sent, id = call(client, 'request', method, params, handler, bufnr)
  return sent and id or nil
end

--- Send a notification.
function M.notify(client, method, params)
  call(client, 'notify', method, params)
end

--- Take a request back.
function M.cancel(client, id)
  call(client, 'cancel_request', id)
end

--- Stop a server.
function M.stop(client, force)
  call(client, 'stop', force)
end

--- Whether messages still arrive there.
function M.is_open(client)
  return client.initialized and not call(client, 'is_stopped')
end

--- A document and a place in it, in the units that the server counts in. row from 0, col in bytes.
function M.position(client, bufnr, row, col)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ''
  local units = offsets.length(line:sub(1, col), client.offset_encoding or 'utf-16')
  return {
    textDocument = { uri = vim.uri_from_bufnr(bufnr) },
    position = { line = row, character = units },
  }
end

--- Ask for one of the server's commands. callback gets its answer, nil when there is none.
function M.execute(client, command, arguments, callback)
  local params = { command = command, arguments = arguments }
  M.request(client, 'workspace/executeCommand', params, function(err, result)
    local answer = err == nil and result ~= vim.NIL and result or nil
    if callback ~= nil then
      callback(answer)
    end
  end)
end

return M
