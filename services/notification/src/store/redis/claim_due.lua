-- Takes subscribers that are due; nobody else gets them before their lease ends. Answers the epoch of the claim, 0 where
-- nobody is due, and the ids.
-- KEYS: due, epoch. ARGV: now, end of the lease, how many at most.
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
if #ids == 0 then return {0, ids} end
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
return {redis.call('INCR', KEYS[2]), ids}
