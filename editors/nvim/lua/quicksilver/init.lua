--- The plugin's API, for init.lua files and mappings: code completion by the Quicksilver language server.
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
  for _, name in ipairs({ 'cmd', 'model', 'settings', 'filetypes', 'root_markers', 'client' }) do
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

--- Say why a question on request had no answer: the server knows, unless it failed.
local function say_why_nothing(failure)
  local place, session, client = require('quicksilver.place').now(), require('quicksilver.session'), client_here()
  if failure ~= nil or client == nil then
    return session.note(place, failure or 'the language server has ended')
  end
  require('quicksilver.connection').execute(client, 'quicksilver.why', {}, function(answer)
    local why = type(answer) == 'table' and type(answer.why) == 'table' and answer.why[1] or 'nothing to suggest here'
    why = (why:match('got none: (.*)') or why):gsub('%.$', '')
    session.note(place, why)
  end)
end

--- Why nothing can be asked here and now, in one line; nil where it can.
local function obstacle(bufnr)
  local quiet = require('quicksilver.quiet')
  if uses_native() then
    return "client = 'native' cannot ask on request"
  end
  return quiet.interruption() or quiet.objection(bufnr)
end

--- Say one line at the cursor, or below where nothing may be drawn there.
local function say(line)
  if require('quicksilver.quiet').is_inserting() then
    require('quicksilver.session').note(require('quicksilver.place').now(), line)
  else
    log.tell(line)
  end
end

local function ask_now()
  local bufnr, session = vim.api.nvim_get_current_buf(), require('quicksilver.session')
  local why_not = obstacle(bufnr)
  if why_not ~= nil then
    return say(why_not)
  end
  if client_here() ~= nil then
    return session.ask(say_why_nothing)
  end
  session.ask_when_attached(bufnr, say_why_nothing)
  require('quicksilver.server').attach(bufnr, true)
  local now = require('quicksilver.status').of(nil)
  if now.state == 'failed' then
    say(now.message)
  end
end

--- Ask on request, in any buffer: a server is started where none runs. Where nothing can be asked, one line says why.
function M.ask()
  vim.schedule(log.guarded(ask_now)) -- a mapping that is an expression may start nothing
  return true
end

local function turn(step)
  if uses_native() then
    require('quicksilver.native').turn(step)
    return true
  end
  if not M.visible() then
    return client_here() ~= nil and M.ask()
  end
  require('quicksilver.session').turn(step)
  return true
end

--- Show the next suggestion for this place; asks for one when there is none.
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

--- A few characters for a status line: 'qs ready', '' if there is no server.
function M.status()
  local client = client_here()
  return require('quicksilver.status').short(client and client.id)
end

return M
