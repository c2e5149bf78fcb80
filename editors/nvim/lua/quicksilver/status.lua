--- The servers' status, or the plugin's own if there is no server, as short texts for people.

local launch = require('quicksilver.launch')
local log = require('quicksilver.log')

local M = {}

local by_client = {} -- client id → the latest status, as docs/protocol.md has it
local failure -- one line, if there is no server
local is_first_start = false -- the person was told that the model is loaded, for the first time ever
local told = {} -- messages that were shown, so that each is shown once

--- Show a message once; the log has it every time. level: one of vim.log.levels.
local function tell_once(message, level)
  log.later(level == vim.log.levels.INFO and 'info' or 'warning', message)
  if not told[message] then
    told[message] = true
    log.tell(message, level)
  end
end

--- The very first time, say what goes on: loading the model takes some seconds in which nothing is shown.
local function greet(state)
  local marker = launch.state_folder() .. '/greeted'
  if vim.fn.filereadable(marker) == 1 then
    return
  end
  if state == 'starting' and not is_first_start then
    is_first_start = true
    log.tell('loading the model; completions come when it is ready', vim.log.levels.INFO)
  elseif state == 'ready' and is_first_start then
    vim.fn.mkdir(launch.state_folder(), 'p')
    vim.fn.writefile({}, marker)
    log.tell('ready; type, and pause (:help quicksilver)', vim.log.levels.INFO)
  end
end

local function announce()
  vim.schedule(function()
    vim.cmd('redrawstatus!')
    if vim.fn.exists('#User#QuicksilverStatus') == 1 then
      vim.cmd('doautocmd <nomodeline> User QuicksilverStatus')
    end
  end)
end

--- Keep a server's status.
function M.receive(client_id, status)
  if type(status) ~= 'table' or type(status.state) ~= 'string' then
    return
  end
  local before = by_client[client_id]
  by_client[client_id] = status
  if before == nil or before.state ~= status.state then
    announce()
    vim.schedule(log.guarded(function()
      greet(status.state)
    end))
    if status.state == 'failed' then
      tell_once(tostring(status.message))
    end
  end
end

--- Show what a server wants people to read. kind: LSP's MessageType, a warning if left out.
function M.message(text, kind)
  local is_info = kind ~= nil and kind >= vim.lsp.protocol.MessageType.Info
  tell_once((tostring(text):gsub('^Quicksilver: ', '')), vim.log.levels[is_info and 'INFO' or 'WARN'])
end

--- Forget a server that has ended.
function M.forget(client_id)
  by_client[client_id] = nil
  announce()
end

--- There is no server, and why; nil once there may be one.
function M.set_failure(message)
  failure = message
  announce()
  if message ~= nil then
    tell_once(message)
  end
end

--- The status of a server, or of there being none.
function M.of(client_id)
  local status = client_id ~= nil and by_client[client_id] or nil
  if status ~= nil then
    return status
  end
  if failure ~= nil then
    return { state = 'failed', message = failure }
  end
  if client_id == nil then
    return { state = 'none', message = 'no language server for this buffer' }
  end
  return { state = 'starting', message = 'the language server is being started' }
end

local function minutes_left(status)
  local until_ms = tonumber(status.snoozed_until_ms)
  return until_ms and math.max(math.floor((until_ms / 1000 - os.time()) / 60 + 0.5), 1)
end

--- A few characters for a status line; '' if there is no server and nothing is wrong.
function M.short(client_id)
  local status = M.of(client_id)
  if status.state == 'none' then
    return ''
  end
  if status.state == 'snoozed' and minutes_left(status) then
    return ('qs snoozed %dm'):format(minutes_left(status))
  end
  return 'qs ' .. (status.state == 'busy' and '...' or status.state)
end

--- One line for a person who asked.
function M.line(status)
  local line = ('Quicksilver: %s: %s'):format(status.state, status.message)
  local counts = type(status.counts) == 'table' and status.counts or {}
  if (tonumber(counts.shown) or 0) == 0 then
    return line
  end
  local whole, partial = tonumber(counts.accepted) or 0, tonumber(counts.partially_accepted) or 0
  return ('%s; %d shown, %d taken, %d in part'):format(line, counts.shown, whole, partial)
end

return M
