--- How the language server is started: which program, with which arguments, and in which folder. Neither the program
--- nor the folder is ever one of a workspace, which is not trusted.

local config = require('quicksilver.config')

local M = {}

local HAS_STATE_FOLDER = vim.fn.has('nvim-0.8') == 1
local PRIVATE = 448 -- 0700

--- The plugin's folder for what it keeps.
function M.state_folder()
  return vim.fn.stdpath(HAS_STATE_FOLDER and 'state' or 'cache') .. '/quicksilver'
end

--- The server's working folder: empty, and this person's alone.
function M.working_folder()
  local folder = M.state_folder() .. '/server'
  vim.fn.mkdir(folder, 'p', PRIVATE)
  return folder
end

local function on_path(name)
  local separator = vim.fn.has('win32') == 1 and ';' or ':'
  for _, folder in ipairs(vim.split(vim.env.PATH or '', separator, { plain = true })) do
    local is_absolute = folder:match('^/') ~= nil or folder:match('^%a:[/\\]') ~= nil
    if is_absolute and vim.fn.executable(folder .. '/' .. name) == 1 then
      return vim.fn.exepath(folder .. '/' .. name)
    end
  end
  return nil
end

--- The whole path of the program that `cmd` names; nil where it cannot be run. Relative entries of PATH are passed over:
--- they mean the folder that Neovim was started in.
function M.program()
  local name = config.current.cmd[1]
  if not name:find('[/\\]') then
    return on_path(name)
  end
  local path = vim.fn.fnamemodify(name, ':p')
  return vim.fn.executable(path) == 1 and path or nil
end

--- The whole command, nil where the program cannot be run. A model is a folder or a name that the server knows.
function M.command()
  local program, model = M.program(), config.current.model
  if program == nil then
    return nil
  end
  local command = { program, unpack(config.current.cmd, 2) }
  if model ~= nil then
    vim.list_extend(command, { '--model', model:find('[/\\~]') and vim.fn.fnamemodify(model, ':p') or model })
  end
  return command
end

return M
