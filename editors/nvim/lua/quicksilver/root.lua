--- Where a file's workspace begins: the nearest folder above it that holds a marker.

local M = {}

local uv = vim.uv or vim.loop

local function holds(folder, markers)
  for _, marker in ipairs(markers) do
    if uv.fs_stat(folder .. '/' .. marker) ~= nil then
      return true
    end
  end
  return false
end

--- The root of a file's workspace; nil where no folder above it has a marker.
function M.of(path, markers)
  local folder = vim.fn.fnamemodify(path, ':p:h')
  while true do
    if holds(folder, markers) then
      return folder
    end
    local above = vim.fn.fnamemodify(folder, ':h')
    if above == folder then
      return nil
    end
    folder = above
  end
end

return M
