--- Code completion at the cursor by the Quicksilver language server: what init.lua files and mappings call.
--- Everything here returns at once; functions that do something return whether there was something to do.

local config = require('quicksilver.config')
local log = require('quicksilver.log')

local M = {}

local function uses_native()
  return config.current.client == 'native' and require('quicksilver.native').exists()
end

local function client_here()
  return require('quicksilver.server').client_of(vim.api.nvim_get_current_buf())
end

--- Set options (|quicksilver-options|); safe to call again. Servers that run with other ones are started anew.
function M.setup(options)
  local had = config.current
  for _, complaint in ipairs(config.set(options)) do
    log.later('warning', complaint)
    log.tell(complaint)
  end
  require('quicksilver.keymaps').install()
  require('quicksilver.events').start()
  local is_new = false
  for _, name in ipairs({ 'cmd', 'settings', 'filetypes', 'root_markers', 'client' }) do
    is_new = is_new or not vim.deep_equal(had[name], config.current[name])
  end
  local server = require('quicksilver.server')
  if is_new and #server.clients() > 0 then
    server.stop_all(log.guarded(server.attach_all))
  end
end

local function accept(part)
  if uses_native() then
    return client_here() ~= nil and require('quicksilver.native').accept(part)
  end
  return require('quicksilver.acceptance').accept(part)
end

--- Accept the whole text.
function M.accept()
  return accept('all') or false
end

--- Accept up to the end of the next word.
function M.accept_word()
  return accept('word') or false
end

--- Accept up to the end of the line.
function M.accept_line()
  return accept('line') or false
end

--- Whether ghost text is on show at the cursor.
function M.visible()
  return require('quicksilver.session').on_show() ~= nil
end

--- Say why a question by hand had no answer: the server knows, unless it failed.
local function say_why_nothing(client, failure)
  local place, session = require('quicksilver.place').now(), require('quicksilver.session')
  if failure ~= nil then
    return session.note(place, failure)
  end
  require('quicksilver.connection').execute(client, 'quicksilver.why', {}, function(answer)
    local why = type(answer) == 'table' and type(answer.why) == 'table' and answer.why[1] or 'nothing to suggest here'
    why = (why:match('got none: (.*)') or why):gsub('%.$', '')
    session.note(place, why)
  end)
end

--- Ask by hand; works where nothing is offered automatically.
function M.ask()
  local client = client_here()
  if client == nil or uses_native() then
    return false
  end
  require('quicksilver.session').ask(function(failure)
    say_why_nothing(client, failure)
  end)
  return true
end

local function turn(step)
  if uses_native() then
    require('quicksilver.native').turn(step)
    return true
  end
  if not M.visible() then
    return M.ask()
  end
  require('quicksilver.session').turn(step)
  return true
end

--- Show the next suggestion for this place; asks by hand when there is none.
function M.next()
  return turn(1)
end

--- Show the one before.
function M.previous()
  return turn(-1)
end

--- Put the ghost text away until something is typed.
function M.dismiss()
  local client = client_here()
  if uses_native() and client ~= nil then
    require('quicksilver.native').dismiss(client)
    return true
  end
  if not M.visible() then
    return false
  end
  require('quicksilver.session').dismiss()
  return true
end

--- A few characters for a status line: 'qs ready', '' where there is no server.
function M.status()
  local client = client_here()
  return require('quicksilver.status').short(client and client.id)
end

return M
