-- Reads what is kept of one run, from the newest entry back to the one that holds a given runSeq.
-- Filtered here, so that other runs of the session cost neither network nor parsing.
--   KEYS[1]  stream of the session, as in publish-n.lua
--   ARGV[1]  run
--   ARGV[2]  runSeq to reach back to
--   returns  packed events of the entries, newest first
local history, run, target = KEYS[1], ARGV[1], tonumber(ARGV[2])
local found, upto = {}, "+"
while true do
  local page = redis.call("XREVRANGE", history, upto, "-", "COUNT", 50)
  for _, entry in ipairs(page) do
    local fields = {}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    if fields.r == run then
      found[#found + 1] = fields.p
      if tonumber(fields.f) <= target then return found end
    end
    upto = "(" .. entry[1]
  end
  if #page == 0 then return found end
end
