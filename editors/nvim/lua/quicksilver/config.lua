--- The options of setup(), with defaults and checks.

local M = {}

--- See |quicksilver-options| for what each one does.
local DEFAULTS = {
  cmd = { 'quicksilver', 'lsp' },
  model = nil,
  filetypes = nil,
  root_markers = { 'pyproject.toml', 'setup.py', 'setup.cfg', '.git', '.hg' },
  settings = {},
  client = 'own',
  keymaps = false,
  automatic = true,
  debounce_ms = 0,
  popup_menu = 'hide',
  warm = true,
  enabled_for = nil,
}

--- Where the person names no filetypes: those that some model completes by itself. The server knows what its model knows.
local MODEL_FILETYPES = {
  'python', 'javascript', 'javascriptreact', 'typescript', 'typescriptreact', 'go', 'rust', 'java', 'c', 'cpp', 'php',
  'sh', 'bash', 'zsh', 'cs', 'ruby', 'kotlin', 'sql', 'html', 'css', 'scss', 'less', 'json', 'jsonc', 'yaml',
  'markdown',
}

local SUGGESTED_KEYS = {
  accept = '<Tab>',
  accept_word = '<M-w>',
  accept_line = '<M-l>',
  next = '<M-n>',
  previous = '<M-p>',
  dismiss = '<C-]>',
  ask = '<M-\\>',
}

local function one_of(...)
  local names = { ... }
  return function(value)
    return vim.tbl_contains(names, value) and '' or 'must be one of ' .. table.concat(names, ', ')
  end
end

local function is_a(kind)
  return function(value)
    return type(value) == kind and '' or 'must be a ' .. kind
  end
end

local function model(value)
  return type(value) == 'string' and value ~= '' and '' or 'must be the path of a checkpoint folder'
end

local function command(value)
  local ok = type(value) == 'table' and type(value[1]) == 'string'
  return ok and '' or "must be a list such as { 'quicksilver', 'lsp' }"
end

local function milliseconds(value)
  local ok = type(value) == 'number' and value >= 0 and value <= 10000
  return ok and '' or 'must be a number from 0 to 10000'
end

local function keymaps(value)
  if type(value) == 'boolean' then
    return ''
  end
  if type(value) ~= 'table' then
    return 'must be true, false or a table of keys'
  end
  for name, key in pairs(value) do
    if SUGGESTED_KEYS[name] == nil then
      return ('has no action %q'):format(tostring(name))
    end
    if key ~= false and type(key) ~= 'string' then
      return ('%s must be a key or false'):format(name)
    end
  end
  return ''
end

--- Each check returns what is wrong, '' when nothing is.
local CHECKS = {
  cmd = command,
  model = model,
  filetypes = is_a('table'),
  root_markers = is_a('table'),
  settings = is_a('table'),
  client = one_of('own', 'native'),
  keymaps = keymaps,
  automatic = is_a('boolean'),
  debounce_ms = milliseconds,
  popup_menu = one_of('hide', 'line'),
  warm = is_a('boolean'),
  enabled_for = is_a('function'),
}

M.current = vim.deepcopy(DEFAULTS)

--- Take options over; a wrong one leaves its default. Returns one line for each that was wrong.
function M.set(options)
  local values, complaints = vim.deepcopy(DEFAULTS), {}
  if options ~= nil and type(options) ~= 'table' then
    options, complaints = {}, { 'setup() takes a table of options' }
  end
  for name, value in pairs(options or {}) do
    local check = CHECKS[name]
    local wrong = check == nil and 'is not an option' or check(value)
    if wrong == '' then
      values[name] = value
    else
      table.insert(complaints, ('option %s %s'):format(tostring(name), wrong))
    end
  end
  M.current = values
  return complaints
end

--- The keys that were asked for: action → key.
function M.keys()
  local wanted = M.current.keymaps
  if wanted == true then
    return SUGGESTED_KEYS
  end
  return type(wanted) == 'table' and wanted or {}
end

--- Whether a filetype is completed: named in a list, or true in a table that may hold '*' for all others.
function M.wants_filetype(filetype)
  local filetypes = M.current.filetypes or MODEL_FILETYPES
  if vim.tbl_contains(filetypes, filetype) then
    return true
  end
  local said = filetypes[filetype]
  if said == nil then
    said = filetypes['*']
  end
  return filetype ~= '' and said == true
end

--- What the server is told: the person's settings, the languages from the filetypes that the person named, and a log that stays short.
function M.server_settings()
  local settings = vim.deepcopy(M.current.settings)
  local named = M.current.filetypes
  if settings.languages == nil and named ~= nil and named['*'] ~= true then
    settings.languages = {}
    for key, value in pairs(named) do
      if value then
        table.insert(settings.languages, type(key) == 'number' and value or key)
      end
    end
    table.sort(settings.languages)
  end
  -- Neovim writes a server's stderr into its own LSP log, without a limit.
  settings.log_level = settings.log_level or 'warning'
  return settings
end

return M
