-- The last look before the mail server: 'go', 'again' (an earlier attempt ended without a word, so this one may be a
-- second mail), 'lost' (another owner has it) or 'ended' (the subscription is not active, or takes nothing on this way).
-- KEYS: delivery, subscriber. ARGV: owner, now, end of the lease, letter of the way.
local state = redis.call('HGET', KEYS[1], 'state')
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] or (state ~= 'intended' and state ~= 'sending') then return 'lost' end
local reader = redis.call('HMGET', KEYS[2], 'state', 'ways')
if reader[1] ~= 'active' or not string.find(reader[2] or 'm', ARGV[4], 1, true) then return 'ended' end
redis.call('HSET', KEYS[1], 'state', 'sending', 'lease', ARGV[3], 'at', ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'unknown') == 0 then return 'go' end
-- The same owner only asks twice when the answer was lost.
if state == 'intended' then redis.call('HINCRBY', KEYS[1], 'resent', 1) end
return 'again'
