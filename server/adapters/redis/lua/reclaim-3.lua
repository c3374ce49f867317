-- @include pool.lua
-- Puts what a dead worker had taken back into the stream, and forgets the worker once it has nothing left.
-- One page a call, so that no call holds Redis for long. Lane counts stay as they are: the sessions stay admitted.
--   KEYS      as in pool.lua
--   ARGV[1]   worker, as it is named in the group
--   ARGV[2]   most entries to move in this call
--   returns   {sessions put back, 1 when the worker may have more or else 0}
local worker, page = ARGV[1], tonumber(ARGV[2])
local pending = redis.pcall("XPENDING", stream, GROUP, "-", "+", page, worker)
if pending.err then return { 0, 0 } end -- no stream or no group: nothing was taken
local moved = 0
for _, item in ipairs(pending) do
  local old = item[1]
  local found = redis.call("XRANGE", stream, old, old)[1]
  redis.call("XACK", stream, GROUP, old)
  redis.call("XDEL", stream, old)
  if found then
    local tenant, key = found[2][2], found[2][4]
    local kind, entry, lane = look(tenant, key)
    if kind == "a" and entry == old then
      admit(tenant, lane, key)
      moved = moved + 1
    end
  end
end
if #pending == page then return { moved, 1 } end
-- In the same call as the look at its entries: deleting a consumer drops whatever it was given meanwhile.
redis.call("XGROUP", "DELCONSUMER", stream, GROUP, worker)
return { moved, 0 }
