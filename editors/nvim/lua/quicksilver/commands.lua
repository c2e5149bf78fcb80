--- :Quicksilver and its subcommands.

local config = require('quicksilver.config')
local connection = require('quicksilver.connection')
local log = require('quicksilver.log')
local server = require('quicksilver.server')
local session = require('quicksilver.session')
local status = require('quicksilver.status')

local M = {}

--- Show lines without making anyone press Enter: below, or in a small window that goes when the cursor moves.
local function show(lines)
  if #lines == 1 and vim.fn.strdisplaywidth(lines[1]) <= vim.v.echospace then
    return vim.api.nvim_echo({ { lines[1] } }, true, {})
  end
  vim.lsp.util.open_floating_preview(lines, '', { max_width = 76, wrap = true, focusable = false, border = 'single' })
end

local function client_here()
  return server.client_of(vim.api.nvim_get_current_buf()) or server.clients()[1]
end

--- Ask the server of this buffer, or any; on_answer gets its status, or the plugin's own when none answers.
local function ask_server(command, arguments, on_answer)
  local client = client_here()
  if client == nil then
    return on_answer(status.of(nil))
  end
  connection.execute(client, command, arguments, function(answer)
    if type(answer) == 'table' and answer.state ~= nil then
      status.receive(client.id, answer)
      return on_answer(answer)
    end
    on_answer(status.of(client.id))
  end)
end

--- Tell all servers; the lines of the last answer are printed.
local function tell_servers(command, arguments, otherwise)
  local clients = server.clients()
  if #clients == 0 then
    return show({ otherwise })
  end
  for index, client in ipairs(clients) do
    connection.execute(client, command, arguments, function(answer)
      if type(answer) == 'table' then
        status.receive(client.id, answer)
      end
      if index == #clients then
        show({ type(answer) == 'table' and status.line(answer) or otherwise })
      end
    end)
  end
end

local function show_status()
  local filetype = vim.bo.filetype
  local is_automatic = filetype == '' or config.wants_filetype(filetype)
  ask_server('quicksilver.status', {}, function(answer)
    local line = status.line(answer)
    show({ is_automatic and line or ('%s; in %s files only on request'):format(line, filetype) })
  end)
end

local function toggle(said)
  if said == nil then
    server.enabled = not server.enabled
  else
    server.enabled = said == 'on'
  end
  session.clear()
  local otherwise = 'Quicksilver: ' .. (server.enabled and 'on' or 'off')
  tell_servers('quicksilver.toggle', { server.enabled }, otherwise)
end

local function snooze(minutes)
  local number = minutes == nil and 10 or tonumber(minutes)
  if number == nil or number < 0 then
    return show({ 'Quicksilver: snooze takes a number of minutes (0 ends it)' })
  end
  session.clear()
  tell_servers('quicksilver.snooze', { number }, 'Quicksilver: no language server runs')
end

local function why()
  local uri = vim.uri_from_bufnr(0)
  ask_server('quicksilver.why', { { uri = uri } }, function(answer)
    local reasons = answer.why
    if type(reasons) == 'string' then
      reasons = { reasons }
    end
    show(type(reasons) == 'table' and #reasons > 0 and reasons or { status.line(answer) })
  end)
end

local function open_log(path, name)
  if type(path) ~= 'string' or vim.fn.filereadable(path) == 0 then
    return show({ ('Quicksilver: there is no log of the %s (yet)'):format(name) })
  end
  vim.cmd('tabedit ' .. vim.fn.fnameescape(path))
  vim.cmd('setlocal readonly nomodifiable autoread')
  vim.cmd('normal! G')
end

local function show_log(which)
  if which == 'server' then
    -- Neovim keeps what servers write to stderr in its own log.
    return open_log(require('vim.lsp.log').get_filename(), which)
  end
  if which == 'engine' then
    local client = client_here()
    if client == nil then
      return open_log(nil, which)
    end
    return connection.execute(client, 'quicksilver.showLog', {}, function(answer)
      open_log(type(answer) == 'table' and answer.engine_log or nil, which)
    end)
  end
  open_log(log.path(), 'plugin')
end

local function restart_servers()
  show({ 'Quicksilver: starting the language server again' })
  server.stop_all(log.guarded(server.attach_all))
end

--- 'server': this editor's language servers; 'engine': the engine that all editors share; nil: both.
local function restart(what)
  session.clear()
  if what == 'server' or client_here() == nil then
    return restart_servers()
  end
  ask_server('quicksilver.restartEngine', {}, function(answer)
    if what == 'engine' then
      return show({ status.line(answer) })
    end
    restart_servers()
  end)
end

local SUBCOMMANDS = {
  status = { run = show_status, arguments = {} },
  toggle = { run = toggle, arguments = { 'on', 'off' } },
  snooze = { run = snooze, arguments = { '0', '10', '30', '60' } },
  log = { run = show_log, arguments = { 'plugin', 'server', 'engine' } },
  why = { run = why, arguments = {} },
  restart = { run = restart, arguments = { 'engine', 'server' } },
}

--- Run one subcommand; without one, the status is shown.
M.run = log.guarded(function(words)
  local name = words[1] or 'status'
  local subcommand = SUBCOMMANDS[name]
  if subcommand == nil then
    local known = vim.tbl_keys(SUBCOMMANDS)
    table.sort(known)
    return show({ ('Quicksilver: there is no %q'):format(name), 'known: ' .. table.concat(known, ', ') })
  end
  subcommand.run(words[2])
end)

--- What may be typed next.
function M.complete(beginning, line)
  local words = vim.split(line, '%s+')
  local candidates = vim.tbl_keys(SUBCOMMANDS)
  if #words > 2 then
    candidates = #words == 3 and SUBCOMMANDS[words[2]] and SUBCOMMANDS[words[2]].arguments or {}
  end
  candidates = vim.tbl_filter(function(candidate)
    return vim.startswith(candidate, beginning)
  end, candidates)
  table.sort(candidates)
  return candidates
end

return M
