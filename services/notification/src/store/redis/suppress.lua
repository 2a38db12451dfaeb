-- Writes the word on an address: over the version that was read ('next'), or over any older one ('newer'). Answers 1, or 0
-- where another version is there.
-- KEYS: suppressions. ARGV: hash of the address, 'next' or 'newer', version, the word, which begins with its version.
local known = tonumber(string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '0', '^%d+'))
local version = tonumber(ARGV[3])
if ARGV[2] == 'next' and known ~= version - 1 then return 0 end
if ARGV[2] == 'newer' and known >= version then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[4])
return 1
