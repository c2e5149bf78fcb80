--- Which of Neovim's events mean what: buffers to attach, keys typed, modes left, menus opened.

local config = require('quicksilver.config')
local connection = require('quicksilver.connection')
local ghost = require('quicksilver.ghost')
local log = require('quicksilver.log')
local native = require('quicksilver.native')
local quiet = require('quicksilver.quiet')
local server = require('quicksilver.server')
local session = require('quicksilver.session')

local M = {}

local WARM_AFTER_MS = 150 -- the cursor has come to rest
local VISUAL_BLOCK = '\22'

local group
local warm_timer
local started = false

local function on(events, work, pattern)
  vim.api.nvim_create_autocmd(events, { group = group, pattern = pattern, callback = log.guarded(work) })
end

local function is_own()
  return config.current.client == 'own' or not native.exists()
end

--- Tell the server where the cursor rests, so that it can read what stands around it before anyone types.
local function warm()
  local bufnr = vim.api.nvim_get_current_buf()
  local client = server.client_of(bufnr)
  if client == nil or vim.api.nvim_get_mode().mode ~= 'n' or not quiet.wants(bufnr) then
    return
  end
  local cursor = vim.api.nvim_win_get_cursor(0)
  connection.notify(client, 'quicksilver/warm', connection.position(client, bufnr, cursor[1] - 1, cursor[2]))
end

local function warm_later()
  if not config.current.warm or #server.clients() == 0 then
    return
  end
  warm_timer = warm_timer or (vim.uv or vim.loop).new_timer()
  warm_timer:start(WARM_AFTER_MS, 0, vim.schedule_wrap(log.guarded(warm)))
end

local function attach_later(event)
  vim.schedule(log.guarded(function()
    if vim.api.nvim_buf_is_valid(event.buf) then
      server.attach(event.buf)
    end
  end))
end

local function follow_buffers()
  local old_uris = {}
  on({ 'FileType', 'BufWinEnter', 'BufWritePost' }, attach_later, '*')
  on('BufFilePre', function(event)
    old_uris[event.buf] = vim.uri_from_bufnr(event.buf)
  end, '*')
  on('BufFilePost', function(event)
    local old_uri = old_uris[event.buf]
    old_uris[event.buf] = nil
    if old_uri ~= nil and old_uri ~= vim.uri_from_bufnr(event.buf) then
      server.renamed(event.buf, old_uri)
    end
  end, '*')
  on({ 'CursorMoved', 'BufEnter' }, warm_later, '*')
end

local function follow_typing()
  local function refresh()
    if is_own() then
      session.refresh()
    end
  end
  local function refresh_later()
    if is_own() then
      session.refresh_later()
    end
  end
  on({ 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, refresh, '*')
  on({ 'InsertEnter', 'CompleteChanged', 'CompleteDone' }, refresh_later, '*')
  on({ 'InsertLeave', 'BufLeave', 'WinLeave' }, function()
    session.clear()
  end, '*')
  on('ModeChanged', function()
    quiet.in_block_insert = true
  end, VISUAL_BLOCK .. ':i*')
  on('InsertLeave', function()
    quiet.in_block_insert = false
  end, '*')
  on('ModeChanged', function()
    session.clear()
  end, 'i*:[^i]*')
end

--- A server has heard of a buffer: ask at once if a person is typing in it already.
local function attached(client, bufnr)
  native.enable(client, not is_own())
  if is_own() and bufnr == vim.api.nvim_get_current_buf() then
    session.attached(bufnr)
  end
end

--- Watch events, and attach the buffers that are open. Safe to call again.
function M.start()
  if started then
    return
  end
  started = true
  group = vim.api.nvim_create_augroup('quicksilver', { clear = true })
  server.on_attached = attached
  follow_buffers()
  follow_typing()
  on('ColorScheme', ghost.define_colours, '*')
  ghost.define_colours()
  -- Later, so that an init.lua that loads this plugin first can still set options.
  vim.schedule(log.guarded(server.attach_all))
end

return M
