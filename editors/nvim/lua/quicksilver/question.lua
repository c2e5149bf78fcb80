--- The question in flight: at most one, about one place in one state of a buffer. A newer one cancels it, and an
--- answer is dropped if the cursor or the text has changed since.

local config = require('quicksilver.config')
local connection = require('quicksilver.connection')
local log = require('quicksilver.log')
local places = require('quicksilver.place')
local status = require('quicksilver.status')
local suggestions = require('quicksilver.suggestion')

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local AUTOMATIC, INVOKED = 2, 1
local CANCELLED, CONTENT_MODIFIED, SERVER_CANCELLED = -32800, -32801, -32802

local current -- { place, invoked, client, id, timer }

--- Take the question back, whether it waits to be asked or to be answered.
function M.cancel()
  local question = current
  current = nil
  if question == nil then
    return
  end
  if question.timer ~= nil then
    question.timer:stop()
    question.timer:close()
  end
  if question.id ~= nil and connection.is_open(question.client) then
    connection.cancel(question.client, question.id)
  end
end

--- Whether a question about just this place is in flight.
function M.is_about(place)
  return current ~= nil and places.same(current.place, place)
end

--- Log an error, and say once that there was one; nil where nothing went wrong but time.
local function note_error(err)
  local code = type(err) == 'table' and err.code
  if err == nil or code == CANCELLED or code == CONTENT_MODIFIED or code == SERVER_CANCELLED then
    return nil
  end
  local said = type(err) == 'table' and err.message or err
  log.write('error', 'the server answered a question with an error: ' .. tostring(said))
  local message = 'the language server failed to answer; see :Quicksilver log'
  status.message(message)
  return message
end

local function items_of(result)
  if type(result) ~= 'table' then
    return {}
  end
  local items = result.items or result
  return type(items) == 'table' and items or {}
end

--- The answer came. Where it is still wanted, on_answer gets a suggestion; or nil when there was none, and why not when
--- that was a failure.
local function receive(question, params, err, result)
  if current ~= question then
    return
  end
  current = nil
  local failure = note_error(err)
  local place = places.now()
  if not places.same(place, question.place) then
    return
  end
  local asked = {
    client_id = question.client.id,
    place = place,
    position = params.position,
    left = places.left(place),
    right = places.right(place),
    fileformat = vim.bo[place.bufnr].fileformat,
  }
  question.on_answer(suggestions.new(items_of(result), asked), failure)
end

local function send(question)
  question.timer = nil
  local place = places.now()
  if current ~= question or not places.same(place, question.place) then
    return
  end
  if not connection.is_open(question.client) then
    current = nil
    return
  end
  local params = connection.position(question.client, place.bufnr, place.row, place.col)
  params.context = { triggerKind = question.invoked and INVOKED or AUTOMATIC }
  params.formattingOptions = {
    tabSize = vim.lsp.util.get_effective_tabstop(place.bufnr),
    insertSpaces = vim.bo[place.bufnr].expandtab,
  }
  local handler = log.guarded(function(err, result)
    receive(question, params, err, result)
  end)
  question.id = connection.request(question.client, METHOD, params, handler, place.bufnr)
end

--- Ask about a place, in place of what was asked before. It is sent once the screen shows what was typed.
function M.ask(client, place, invoked, on_answer)
  M.cancel()
  local question = { client = client, place = place, invoked = invoked, on_answer = on_answer }
  current = question
  local sending = log.guarded(function()
    send(question)
  end)
  local delay_ms = invoked and 0 or config.current.debounce_ms
  if delay_ms == 0 then
    vim.schedule(sending)
  else
    question.timer = vim.defer_fn(sending, delay_ms)
  end
end

return M
