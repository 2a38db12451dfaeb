-- Writes a subscriber over the version that was read ('next'), or over any older one ('newer'). Answers 1, or 0 where
-- another version is there.
-- KEYS: subscriber, address, paused, due by mail, due by webhook. ARGV: id, 'next' or 'newer', version, end of the pause in
-- ms or '', for each channel when it is due in ms, 'keep' or '' for never, then fields with their values; one without a value
-- is taken away.
local known, version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0'), tonumber(ARGV[3])
if ARGV[2] == 'next' and known ~= version - 1 then return 0 end
if ARGV[2] == 'newer' and known >= version then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[3])
for i = 7, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('HDEL', KEYS[1], ARGV[i]) else redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
redis.call('SET', KEYS[2], ARGV[1], 'NX')
if ARGV[4] == '' then redis.call('ZREM', KEYS[3], ARGV[1]) else redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1]) end
for i = 4, 5 do
  local due = ARGV[i + 1]
  if due == '' then redis.call('ZREM', KEYS[i], ARGV[1]) elseif due ~= 'keep' then redis.call('ZADD', KEYS[i], due, ARGV[1]) end
end
return 1
