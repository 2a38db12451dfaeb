-- Counts an event in each window, or in none: answers {0, 0}, or the place of the first full window and the milliseconds after
-- which it has room. An event that was counted a moment ago is not counted again. Without an event it only looks.
-- KEYS: windows, each a list of its last events, the newest first. ARGV: now in ms, the event or '', then for each window how
-- many events it has room for, and its length in ms.
local now, event = tonumber(ARGV[1]), ARGV[2]
if event ~= '' then
  local newest = redis.call('LINDEX', KEYS[1], 0)
  if newest and string.match(newest, ' (.*)$') == event then return {0, 0} end
end
for i, key in ipairs(KEYS) do
  local most, length = tonumber(ARGV[2 * i + 1]), tonumber(ARGV[2 * i + 2])
  local last = redis.call('LINDEX', key, most - 1)
  local room = last and tonumber(string.match(last, '^%d+')) + length
  if room and room > now then return {i, room - now} end
end
if event == '' then return {0, 0} end
for i, key in ipairs(KEYS) do
  redis.call('LPUSH', key, ARGV[1] .. ' ' .. event)
  redis.call('LTRIM', key, 0, ARGV[2 * i + 1] - 1)
  redis.call('PEXPIRE', key, ARGV[2 * i + 2])
end
return {0, 0}
