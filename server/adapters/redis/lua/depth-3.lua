-- @include pool.lua
-- Counts the queue of a pool at one moment.
--   KEYS      as in pool.lua
--   returns   {admitted and not taken, taken, in backlogs}
local pending = redis.pcall("XPENDING", stream, GROUP)
local taken = pending.err and 0 or pending[1]
-- Entries are deleted when they are done, so what the stream holds is admitted. The group's `lag` would not do:
-- it is unknown once an entry has been deleted (redis#13337).
return { redis.call("XLEN", stream) - taken, taken, redis.call("ZCARD", backlog) }
