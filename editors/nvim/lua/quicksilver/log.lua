--- The plugin's own log: what went wrong, with times, never source text. It also keeps errors off the screen.

local M = {}

local MAX_BYTES = 1024 * 1024 -- then the log starts anew, and the older part is kept beside it

--- Where the log is.
function M.path()
  local has_log_folder = vim.fn.has('nvim-0.8') == 1
  return vim.fn.stdpath(has_log_folder and 'log' or 'cache') .. '/quicksilver.log'
end

local function start_anew(path)
  if vim.fn.getfsize(path) > MAX_BYTES then
    os.rename(path, path .. '.old')
  end
end

--- Append one line. level: 'info', 'warning' or 'error'.
function M.write(level, message)
  local path = M.path()
  vim.fn.mkdir(vim.fn.fnamemodify(path, ':h'), 'p')
  start_anew(path)
  local file = io.open(path, 'a')
  if file ~= nil then
    file:write(('%s %s %s\n'):format(os.date('%Y-%m-%d %H:%M:%S'), level, message))
    file:close()
  end
end

--- Write from anywhere, fast event callbacks included.
function M.later(level, message)
  vim.schedule(function()
    pcall(M.write, level, message)
  end)
end

--- Show one line that fits beside the command line, so that no Enter is needed. level: one of vim.log.levels, WARN
--- if left out.
function M.tell(message, level)
  vim.schedule(function()
    local room = math.max(vim.o.columns - 15, 20)
    local line = 'Quicksilver: ' .. message:gsub('%s+', ' ')
    if vim.fn.strdisplaywidth(line) > room then
      line = vim.fn.strcharpart(line, 0, room - 3) .. '...'
    end
    vim.cmd('redraw') -- in place of a line before it: two lines would wait for Enter
    vim.notify(line, level or vim.log.levels.WARN)
  end)
end

local last_failure

--- A function that does the same, and whose errors go to the log and not to the screen.
function M.guarded(work)
  return function(...)
    local given, n_given = { ... }, select('#', ...)
    local results = { xpcall(function()
      return work(unpack(given, 1, n_given))
    end, debug.traceback) }
    if results[1] then
      return unpack(results, 2)
    end
    local failure = tostring(results[2])
    if failure ~= last_failure then
      last_failure = failure
      M.later('error', failure)
    end
  end
end

return M
