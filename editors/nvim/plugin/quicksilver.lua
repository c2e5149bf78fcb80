-- Loaded by Neovim at start. It waits for files to be opened; everything else is loaded when it is needed.

if vim.g.loaded_quicksilver ~= nil then
  return
end
vim.g.loaded_quicksilver = 1

if vim.fn.has('nvim-0.7') == 0 then
  return
end

vim.api.nvim_create_user_command('Quicksilver', function(command)
  require('quicksilver.commands').run(command.fargs)
end, {
  nargs = '*',
  desc = 'Quicksilver: status, toggle, snooze, log, why, restart',
  complete = function(beginning, line)
    return require('quicksilver.commands').complete(beginning, line)
  end,
})

for _, action in ipairs({ 'accept', 'accept_word', 'accept_line', 'next', 'previous', 'dismiss', 'ask' }) do
  local plug = ('<Plug>(quicksilver-%s)'):format(action:gsub('_', '-'))
  vim.keymap.set('i', plug, function()
    require('quicksilver')[action]()
  end, { silent = true, desc = 'Quicksilver: ' .. action:gsub('_', ' ') })
end

require('quicksilver.events').start()
