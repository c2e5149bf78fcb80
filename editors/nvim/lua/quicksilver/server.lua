--- The language servers: one for each workspace, started when a buffer wants one, and again (a few times) when one ends
--- by itself. Owns which buffer belongs to which server.

local config = require('quicksilver.config')
local connection = require('quicksilver.connection')
local launch = require('quicksilver.launch')
local log = require('quicksilver.log')
local quiet = require('quicksilver.quiet')
local root = require('quicksilver.root')
local status = require('quicksilver.status')

local M = {}

local MAX_RESTARTS, RESTARTS_WITHIN_S, RESTART_AFTER_MS = 3, 180, 500

local id_of_root = {} -- root ('' for loose files) → client id
local stopping = {} -- client id → true: it ends because we asked it to
local restarts = {} -- seconds at which servers were started again

--- Called with client and buffer when a server has heard of the buffer.
M.on_attached = function() end

--- false: a person switched completions off, and new servers are told so.
M.enabled = true

local function open_client(id)
  local client = id ~= nil and vim.lsp.get_client_by_id(id) or nil
  return client ~= nil and connection.is_open(client) and client or nil
end

local function each_of_ours(visit)
  for _, id in pairs(id_of_root) do
    local client = vim.lsp.get_client_by_id(id)
    if client ~= nil then
      visit(client)
    end
  end
end

--- The server that knows a buffer and can be asked, nil when there is none.
function M.client_of(bufnr)
  for _, id in pairs(id_of_root) do
    if vim.lsp.buf_is_attached(bufnr, id) then
      return open_client(id)
    end
  end
  return nil
end

--- Every server that can be asked.
function M.clients()
  local found = {}
  each_of_ours(function(client)
    if connection.is_open(client) then
      table.insert(found, client)
    end
  end)
  return found
end

local function capabilities()
  local all = vim.lsp.protocol.make_client_capabilities()
  all.textDocument.inlineCompletion = all.textDocument.inlineCompletion or { dynamicRegistration = false }
  all.workspace.configuration = true -- 0.7 answers, and does not say that it does
  all.experimental = vim.tbl_extend('force', all.experimental or {}, { quicksilver = { status = true } })
  return all
end

local function may_restart()
  local now = os.time()
  restarts = vim.tbl_filter(function(at)
    return now - at < RESTARTS_WITHIN_S
  end, restarts)
  table.insert(restarts, now)
  return #restarts <= MAX_RESTARTS
end

--- What vim.lsp starts: a function where it may be one, which keeps how the server ended to itself. Otherwise Neovim
--- shows that, in several lines, whatever a person is doing.
local function launcher(cmd, cwd, ending)
  if vim.fn.has('nvim-0.8') == 0 then
    return cmd
  end
  return function(dispatchers)
    local on_exit = dispatchers.on_exit
    dispatchers.on_exit = function(code, signal)
      ending.code, ending.signal = code, signal
      on_exit(0, 0)
    end
    if vim.fn.has('nvim-0.10') == 1 then
      return vim.lsp.rpc.start(cmd, dispatchers, { cwd = cwd })
    end
    return vim.lsp.rpc.start(cmd[1], vim.list_slice(cmd, 2), dispatchers, { cwd = cwd })
  end
end

local function ended(code, signal, id)
  local was_asked = stopping[id]
  stopping[id] = nil
  status.forget(id)
  if was_asked or vim.v.exiting ~= vim.NIL then
    return
  end
  log.write('error', ('the language server ended by itself: exit code %s, signal %s'):format(code, signal))
  if may_restart() then
    vim.defer_fn(log.guarded(M.attach_all), RESTART_AFTER_MS)
  else
    status.set_failure('the server keeps ending; see :Quicksilver log')
  end
end

local function handlers()
  return {
    ['quicksilver/status'] = log.guarded(function(_, params, context)
      status.receive(context.client_id, params)
    end),
    ['window/showMessage'] = log.guarded(function(_, params)
      status.message(params.message, params.type)
    end),
  }
end

local function client_config(cmd, folder)
  local settings, ending = config.server_settings(), {}
  local cwd = launch.working_folder()
  return {
    name = 'quicksilver',
    cmd = launcher(cmd, cwd, ending),
    cmd_cwd = cwd, -- for a cmd that is no function
    root_dir = folder,
    init_options = settings,
    settings = { quicksilver = settings },
    capabilities = capabilities(),
    handlers = handlers(),
    on_init = log.guarded(function(client)
      if not M.enabled then
        connection.execute(client, 'quicksilver.toggle', { false })
      end
    end),
    on_attach = log.guarded(function(client, bufnr)
      M.on_attached(client, bufnr)
    end),
    on_exit = function(code, signal, id)
      vim.schedule(log.guarded(function()
        ended(ending.code or code, ending.signal or signal, id)
      end))
    end,
  }
end

--- Start a server for a buffer, which attaches the buffer too. Returns its id.
local function start(cmd, bufnr, folder)
  local settings = client_config(cmd, folder)
  if vim.lsp.start == nil then
    local id = vim.lsp.start_client(settings)
    if id ~= nil then
      vim.lsp.buf_attach_client(bufnr, id)
    end
    return id
  end
  local id
  local never = function()
    return false
  end
  vim.api.nvim_buf_call(bufnr, function()
    id = vim.lsp.start(settings, { bufnr = bufnr, reuse_client = never })
  end)
  return id
end

--- Let a server know a buffer; start one where none runs. Only buffers that want completions, unless is_asked says that
--- a person asks for one in a buffer that may have some.
function M.attach(bufnr, is_asked)
  if not vim.api.nvim_buf_is_loaded(bufnr) or M.client_of(bufnr) ~= nil then
    return
  end
  if not (quiet.wants(bufnr) or is_asked and quiet.objection(bufnr) == nil) then
    return
  end
  local folder = root.of(vim.api.nvim_buf_get_name(bufnr), config.current.root_markers)
  local id = id_of_root[folder or '']
  if id ~= nil and not stopping[id] and vim.lsp.get_client_by_id(id) ~= nil then
    vim.lsp.buf_attach_client(bufnr, id)
    return
  end
  local cmd = launch.command()
  if cmd == nil then
    status.set_failure(('%s cannot be run; see :checkhealth quicksilver'):format(config.current.cmd[1]))
    return
  end
  status.set_failure(nil)
  id_of_root[folder or ''] = start(cmd, bufnr, folder)
end

--- Attach every open buffer that wants it.
function M.attach_all()
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    M.attach(bufnr)
  end
end

--- Stop all servers, and call when_done once they have ended (or have been made to).
function M.stop_all(when_done)
  local ids = vim.tbl_values(id_of_root)
  each_of_ours(function(client)
    stopping[client.id] = true
    connection.stop(client)
  end)
  id_of_root, restarts = {}, {}
  local checks_left = 30
  local function check()
    local running = vim.tbl_filter(function(id)
      return vim.lsp.get_client_by_id(id) ~= nil
    end, ids)
    checks_left = checks_left - 1
    if #running == 0 or checks_left < -10 then
      return when_done()
    end
    for _, id in ipairs(checks_left == 0 and running or {}) do
      connection.stop(vim.lsp.get_client_by_id(id), true)
    end
    vim.defer_fn(log.guarded(check), 100)
  end
  check()
end

--- A buffer has another name now: for the server the old document is closed and a new one opened.
function M.renamed(bufnr, old_uri)
  local client = M.client_of(bufnr)
  if client == nil then
    return M.attach(bufnr)
  end
  -- Any request sends pending changes first, which are about the old document.
  connection.request(client, 'workspace/executeCommand', { command = 'quicksilver.status' }, function() end, bufnr)
  connection.notify(client, 'textDocument/didClose', { textDocument = { uri = old_uri } })
  local line_break = ({ unix = '\n', dos = '\r\n', mac = '\r' })[vim.bo[bufnr].fileformat]
  local text = table.concat(vim.api.nvim_buf_get_lines(bufnr, 0, -1, true), line_break)
  connection.notify(client, 'textDocument/didOpen', {
    textDocument = {
      uri = vim.uri_from_bufnr(bufnr),
      languageId = vim.bo[bufnr].filetype,
      version = vim.api.nvim_buf_get_changedtick(bufnr),
      text = text .. (vim.bo[bufnr].endofline and line_break or ''),
    },
  })
end

return M
