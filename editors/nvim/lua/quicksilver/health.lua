--- :checkhealth quicksilver

local config = require('quicksilver.config')
local keymaps = require('quicksilver.keymaps')
local launch = require('quicksilver.launch')
local log = require('quicksilver.log')
local native = require('quicksilver.native')
local server = require('quicksilver.server')
local status = require('quicksilver.status')

local M = {}

-- Neovim 0.10 renamed these.
local health = vim.health or require('health')
local start = health.start or health.report_start
local ok = health.ok or health.report_ok
local info = health.info or health.report_info
local warn = health.warn or health.report_warn
local err = health.error or health.report_error

local function check_editor()
  local version = vim.version()
  local text = ('Neovim %d.%d.%d'):format(version.major, version.minor, version.patch)
  if vim.fn.has('nvim-0.7') == 0 then
    return err(text .. ' is too old; 0.7 is needed')
  end
  local moves_aside = vim.fn.has('nvim-0.10') == 1
  ok(text .. (moves_aside and '' or ': ghost text within a line is drawn over it (0.10 moves it aside)'))
  if config.current.client == 'native' and not native.exists() then
    warn("client = 'native' needs Neovim 0.12; the plugin's own client is used")
  end
end

local function check_program()
  local program = launch.program()
  if program == nil then
    return err(('%s cannot be run'):format(config.current.cmd[1]), {
      'Install Quicksilver, and either put `quicksilver` on the PATH of Neovim,',
      "or set its path: require('quicksilver').setup({ cmd = { '/path/to/quicksilver', 'lsp' } })",
    })
  end
  ok(('%s is %s'):format(config.current.cmd[1], program))
  if config.current.model ~= nil then
    ok('model: ' .. config.current.model)
  end
  info(('`%s doctor`, in a terminal, checks the installation itself'):format(program))
end

local function check_servers()
  local clients = server.clients()
  if #clients == 0 then
    local none = status.of(nil)
    local wanted = table.concat(config.server_settings().languages or { 'all that a model may know' }, ', ')
    if none.state == 'failed' then
      return err(none.message)
    end
    return info(('no language server runs; one is started for a file of these types: %s, or when you ask'):format(wanted))
  end
  for _, client in ipairs(clients) do
    local said = status.of(client.id)
    local line = ('language server %d (%s, positions in %s): %s: %s'):format(
      client.id,
      client.config.root_dir or 'loose files',
      client.offset_encoding or 'utf-16',
      said.state,
      said.message
    )
    local report = said.state == 'failed' and err or (said.state == 'off' and warn or ok)
    report(line)
  end
end

local function check_keys()
  local n_keys = 0
  local keys = config.keys()
  local actions = vim.tbl_keys(keys)
  table.sort(actions)
  for _, action in ipairs(actions) do
    local key = keys[action]
    if key then
      n_keys = n_keys + 1
      if keymaps.is_ours(key) then
        ok(('%s: %s'):format(key, action))
      else
        warn(('%s was to %s, and is mapped by something else'):format(key, action))
      end
    end
  end
  if n_keys == 0 then
    info('no keys are mapped by the plugin: see |quicksilver-keymaps|')
  end
end

local function check_surroundings()
  if not server.enabled then
    warn('completions are switched off: :Quicksilver toggle')
  end
  if vim.o.paste then
    warn("nothing is shown while 'paste' is set")
  end
  info('log: ' .. log.path())
end

--- Called by :checkhealth.
function M.check()
  start('Quicksilver')
  check_editor()
  check_program()
  check_servers()
  check_keys()
  check_surroundings()
end

return M
