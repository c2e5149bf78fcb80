--- Completions for a script, without a person: Neovim's own LSP client starts the language server and asks it.
---
---   nvim -l examples/headless.lua FOLDER [COMMAND …]                              (Neovim 0.9 and newer)
---   nvim --headless -u NONE -S examples/headless.lua -- FOLDER [COMMAND …]        (0.7 and newer)
---
--- COMMAND is the server, by default `quicksilver lsp`. Write <CURSOR> into the files of FOLDER where you want a
--- completion. All files that are not hidden are opened, without the marks, and each place is asked about as with the
--- editor's key. An answer is a line of JSON: file, line and character (from 0, in code points, as in the file without
--- marks), text ('' for none), latency_ms. What is said to people goes to stderr; exit code 1 if there is no engine.

local MARK, START_MS, SAY_MS, ANSWER_MS = '<CURSOR>', 120000, 1000, 60000
local given = arg ~= nil and #arg > 0 and arg or vim.fn.argv()
local folder = vim.fn.fnamemodify(given[1], ':p'):gsub('/$', '')
local command = #given > 1 and vim.list_slice(given, 2) or { 'quicksilver', 'lsp' }

vim.o.swapfile, vim.o.modeline, vim.o.hidden = false, false, true
vim.cmd('filetype on')

local has_started, has_spoken, state = false, false, ''
local capabilities = vim.lsp.protocol.make_client_capabilities()
capabilities.general = { positionEncodings = { 'utf-32' } }
capabilities.experimental = { quicksilver = { status = true } }
local config = {
  name = 'quicksilver', cmd = command, root_dir = folder, capabilities = capabilities,
  handlers = {
    ['quicksilver/status'] = function(_, status) -- 'ready' counts after 'starting': before, nothing was asked yet
      has_started = has_started or status.state == 'starting'
      state = (has_started or status.state == 'failed') and status.state or state
    end,
    ['window/showMessage'] = function(_, params)
      has_spoken = io.stderr:write(params.message, '\n') ~= nil
    end,
  },
}
local start = vim.fn.has('nvim-0.11') == 1 and vim.lsp.start or vim.lsp.start_client
local client = start(config, { attach = false }) -- nil, and a message, if the command cannot be run
vim.wait(client and START_MS or 0, function() return state == 'ready' or state == 'failed' end, 10)
local is_ready = state == 'ready'
vim.wait(client and not is_ready and SAY_MS or 0, function() return has_spoken end, 10)

--- Open a file without its marks; their places, each with its buffer.
local function open(path)
  vim.cmd('edit ' .. vim.fn.fnameescape(path))
  local places = {}
  for row, line in ipairs(vim.api.nvim_buf_get_lines(0, 0, -1, true)) do
    local first, last = line:find(MARK, 1, true)
    while first do
      line = line:sub(1, first - 1) .. line:sub(last + 1)
      local character = vim.fn.strchars(line:sub(1, first - 1))
      table.insert(places, { path = path, buffer = vim.fn.bufnr(), line = row - 1, character = character })
      vim.api.nvim_buf_set_lines(0, row - 1, row, true, { line })
      first, last = line:find(MARK, 1, true)
    end
  end
  vim.lsp.buf_attach_client(0, client)
  return places
end

local function ask(place)
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(place.buffer) }, context = { triggerKind = 1 },
    position = { line = place.line, character = place.character },
  }
  local answers = vim.lsp.buf_request_sync(place.buffer, 'textDocument/inlineCompletion', params, ANSWER_MS) or {}
  local result = answers[client] and answers[client].result or {}
  local item = (result.items or result)[1]
  return item and item.insertText or ''
end

local places = {}
for _, path in ipairs(is_ready and vim.fn.sort(vim.fn.globpath(folder, '**/*', true, true)) or {}) do
  vim.list_extend(places, vim.fn.isdirectory(path) == 0 and open(path) or {})
end
for _, place in ipairs(places) do
  local asked_ns = vim.loop.hrtime()
  local text = ask(place)
  local latency_ms = math.floor((vim.loop.hrtime() - asked_ns) / 1e5) / 10
  local found = { file = place.path:sub(#folder + 2), line = place.line, character = place.character }
  io.stdout:write(vim.json.encode(vim.tbl_extend('error', found, { text = text, latency_ms = latency_ms })), '\n')
end
vim.cmd(is_ready and 'qall!' or '1cquit')
