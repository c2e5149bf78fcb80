--- The keys that setup() maps. A key with nothing to do falls through: to an earlier mapping of it, or to Neovim.

local config = require('quicksilver.config')

local M = {}

local knows_keycodes = vim.fn.has('nvim-0.8') == 1
local DESCRIPTION = 'Quicksilver: '
local installed = {} -- key → the mapping that it had, {} for none
local n_fallbacks = 0

local function raw(key)
  return vim.api.nvim_replace_termcodes(key, true, true, true)
end

--- The mapping of a key in insert mode that holds in all buffers, {} for none.
local function mapping_of(key)
  for _, mapping in ipairs(vim.api.nvim_get_keymap('i')) do
    if raw(mapping.lhs) == raw(key) then
      return mapping
    end
  end
  return {}
end

--- Map a key to what a mapping said, or to itself.
local function map_as(lhs, key, mapping)
  if mapping.lhs == nil then
    vim.api.nvim_set_keymap('i', lhs, key, { noremap = true })
    return
  end
  local expr = mapping.expr == 1
  local rhs = (mapping.rhs or ''):gsub('<SID>', ('<SNR>%s_'):format(mapping.sid))
  vim.api.nvim_set_keymap('i', lhs, rhs, {
    noremap = mapping.noremap == 1,
    expr = expr,
    silent = mapping.silent == 1,
    callback = mapping.callback,
    desc = mapping.desc,
    replace_keycodes = knows_keycodes and expr and mapping.replace_keycodes == 1 or nil,
  })
end

--- Whether a key does in insert mode what setup() was asked for.
function M.is_ours(key)
  return vim.startswith(mapping_of(key).desc or '', DESCRIPTION)
end

local function install(action, key)
  local before = mapping_of(key)
  n_fallbacks = n_fallbacks + 1
  local fallback = ('<Plug>(quicksilver-fallback-%d)'):format(n_fallbacks)
  map_as(fallback, key, before)
  installed[key] = before
  vim.keymap.set('i', key, function()
    return require('quicksilver')[action]() and '' or fallback
  end, { expr = true, remap = true, silent = true, desc = DESCRIPTION .. action:gsub('_', ' ') })
end

--- Take our keys back; one that was mapped anew since is left alone.
local function uninstall()
  for key, before in pairs(installed) do
    if M.is_ours(key) then
      vim.keymap.del('i', key)
      if before.lhs ~= nil then
        map_as(key, key, before)
      end
    end
  end
  installed = {}
end

--- Install the keys of the options, in place of those installed before.
function M.install()
  uninstall()
  for action, key in pairs(config.keys()) do
    if key then
      install(action, key)
    end
  end
end

return M
