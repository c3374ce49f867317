-- @include pool.lua
-- Makes sure that the queue of the pool exists, throwing away what a flush or an eviction has left in pieces.
--   KEYS      as in pool.lua
--   ARGV[1]   epoch to set where the queue is empty or was lost
--   returns   the epoch
open(ARGV[1])
return redis.call("HGET", state, "epoch")
