--- The state at the cursor while a person types: the suggestion on show and the question in flight. Decides when to
--- ask, what stays, and what goes.

local config = require('quicksilver.config')
local ghost = require('quicksilver.ghost')
local outcome = require('quicksilver.outcome')
local places = require('quicksilver.place')
local question = require('quicksilver.question')
local quiet = require('quicksilver.quiet')
local server = require('quicksilver.server')

local M = {}

local suggestion -- the one on show, or hidden behind the popup menu
local waiting -- { bufnr, on_nothing }: asked for before a server knew the buffer
local seen -- the place that was looked at last
local counting = false -- whether the person is turning through several items

--- Forget the suggestion and the question.
function M.clear()
  suggestion, seen, counting, waiting = nil, nil, false, nil
  question.cancel()
  ghost.clear()
end

local function count_shown()
  return counting and #suggestion.items > 1 and ('(%d/%d)'):format(suggestion.index, #suggestion.items) or nil
end

local function draw(place)
  if quiet.menu_in_the_way() then
    ghost.clear()
    return
  end
  local text = suggestion:remaining()
  if vim.fn.pumvisible() == 1 then
    text = text:match('^[^\n]*')
  end
  ghost.draw(place, text, places.left(place), places.right(place), count_shown())
  outcome.shown(suggestion:item())
end

--- Whether the suggestion is still right where the cursor stands now.
local function still_right(place)
  if suggestion == nil or suggestion.place.bufnr ~= place.bufnr then
    return false
  end
  local start = suggestion.place
  local typed = places.text_since(place, start)
  local left = places.left({ bufnr = start.bufnr, row = start.row, col = start.col })
  return suggestion:follow(typed, left, places.right(place))
end

local function show(place, found)
  suggestion, counting = found, false
  if suggestion == nil then
    ghost.clear()
  else
    draw(place)
  end
end

local function ask_at(place)
  local client = server.client_of(place.bufnr)
  if client == nil or question.is_about(place) then
    return
  end
  question.ask(client, place, false, function(found)
    if quiet.is_typing() then
      show(places.now(), found)
    end
  end)
end

local function is_welcome(bufnr)
  return quiet.is_typing() and server.client_of(bufnr) ~= nil and quiet.objection(bufnr) == nil
end

--- Look at the cursor anew: keep what is still right, else ask.
function M.refresh()
  if not is_welcome(vim.api.nvim_get_current_buf()) then
    local still_waiting = quiet.is_typing() and waiting or nil
    M.clear()
    waiting = still_waiting
    return
  end
  local place = places.now()
  local moved = not places.same(place, seen)
  if not moved and ghost.text(place.bufnr) ~= nil then
    return
  end
  seen = place
  if suggestion ~= nil and still_right(place) then
    draw(place)
    return
  end
  if not moved then
    return
  end
  suggestion, counting = nil, false
  ghost.clear()
  question.cancel()
  if config.current.automatic and quiet.wants(place.bufnr) and not quiet.menu_in_the_way() then
    ask_at(place)
  end
end

--- Look again once Neovim is done with what it does now, even where nothing moved: the popup menu came or went.
function M.refresh_later()
  seen = nil
  vim.schedule(function()
    M.refresh()
  end)
end

--- The suggestion that is on show at the cursor, nil when there is none.
function M.on_show()
  local place = places.now()
  if ghost.text(place.bufnr) == nil or not quiet.is_typing() or not still_right(place) then
    return nil
  end
  return suggestion
end

--- Note that the next n_bytes of the suggestion were put into the text; show what is left.
function M.took(taken_text)
  local item, n_bytes = suggestion:item(), suggestion.n_typed + #taken_text
  if n_bytes == #item.text then
    M.clear()
    outcome.taken(item)
  else
    outcome.taken_in_part(item, n_bytes)
    M.refresh()
  end
end

--- Put the suggestion away. Nothing is asked until something is typed.
function M.dismiss()
  suggestion, counting = nil, false
  seen = places.now()
  question.cancel()
  ghost.clear()
end

--- Ask in a buffer as soon as a server knows it: see attached().
function M.ask_when_attached(bufnr, on_nothing)
  waiting = { bufnr = bufnr, on_nothing = on_nothing }
  M.note(places.now(), 'the language server is starting')
end

--- A server knows the current buffer now: ask what waited for that, or look at the cursor.
function M.attached(bufnr)
  local asked = waiting
  waiting = nil
  if asked ~= nil and asked.bufnr == bufnr then
    M.ask(asked.on_nothing)
  else
    M.refresh_later()
  end
end

--- Ask on request. on_nothing is called when there is no answer, with the reason when the server failed.
function M.ask(on_nothing)
  local place = places.now()
  if not is_welcome(place.bufnr) then
    return
  end
  seen = place
  question.ask(server.client_of(place.bufnr), place, true, function(found, failure)
    if not quiet.is_typing() then
      return
    end
    if found == nil then
      return on_nothing(failure)
    end
    show(places.now(), found)
  end)
end

--- Say something at the cursor until the next key, if the cursor still stands where it stood.
function M.note(place, message)
  if suggestion == nil and quiet.is_inserting() and places.same(place, places.now()) then
    ghost.note(place, message)
  end
end

--- Ask for more items, and turn to the one after (step 1) or before (-1) the one on show.
local function ask_for_more(step)
  local before = suggestion:remaining()
  local place = places.now()
  question.ask(server.client_of(place.bufnr), place, true, function(found)
    if found == nil or not quiet.is_typing() then
      return
    end
    suggestion, counting = found, true
    found.asked_for_more = true
    if found:remaining() == before or step < 0 then
      found:turn(step)
    end
    draw(places.now())
  end)
end

--- Turn to the next (1) or previous (-1) item.
function M.turn(step)
  if #suggestion.items == 1 and not suggestion.asked_for_more then
    return ask_for_more(step)
  end
  suggestion:turn(step)
  counting = true
  draw(places.now())
end

return M
