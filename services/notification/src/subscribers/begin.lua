-- The last look before the mail server: 'go', 'again' (an earlier attempt ended without a word, so this one may be a
-- second mail), 'lost' (another owner has it) or 'ended' (the subscription is not active).
-- KEYS: delivery, subscriber. ARGV: owner, now, end of the lease.
local state = redis.call('HGET', KEYS[1], 'state')
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] or (state ~= 'intended' and state ~= 'sending') then return 'lost' end
if redis.call('HGET', KEYS[2], 'state') ~= 'active' then return 'ended' end
redis.call('HSET', KEYS[1], 'state', 'sending', 'lease', ARGV[3], 'at', ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'unknown') == 0 then return 'go' end
-- The same owner only asks twice when the answer was lost.
if state == 'intended' then redis.call('HINCRBY', KEYS[1], 'resent', 1) end
return 'again'
