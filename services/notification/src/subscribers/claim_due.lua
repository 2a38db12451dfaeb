-- Takes subscribers that are due; nobody else gets them before their lease ends.
-- KEYS: due. ARGV: now, end of the lease, how many at most.
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(ids) do redis.call('ZADD', KEYS[1], ARGV[2], id) end
return ids
