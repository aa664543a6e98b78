/*
 * Matchers of http_request_duration_seconds. A status below 200 is no answer: what was upgraded goes on. 444 is a connection that the server
 * closed without an answer, 499 a client that left before it.
 */
export const ANSWERED = 'status_code!~"1.."'
export const FAILED = 'status_code=~"5..|444"'
export const CLIENT_ERROR = 'status_code=~"4..", status_code!~"444|499"'
export const LEFT = 'status_code="499"'
