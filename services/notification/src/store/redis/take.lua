-- Takes one token from each bucket, or none from any: answers 0, or the milliseconds after which to try again.
-- KEYS: buckets. ARGV: now in ms, then for each bucket how many tokens it holds, and in how many ms it gets that many back.
local wait, left = 0, {}
for i, key in ipairs(KEYS) do
  local size, period = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
  local bucket = redis.call('HMGET', key, 'left', 'at')
  local since = math.max(0, tonumber(ARGV[1]) - tonumber(bucket[2] or ARGV[1]))
  left[i] = math.min(size, tonumber(bucket[1] or size) + since * size / period)
  if left[i] < 1 then wait = math.max(wait, math.ceil((1 - left[i]) * period / size)) end
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do
  redis.call('HSET', key, 'left', left[i] - 1, 'at', ARGV[1])
  redis.call('PEXPIRE', key, ARGV[2 * i + 1] + 1000)
end
return 0
