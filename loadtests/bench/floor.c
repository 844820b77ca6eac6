/* The floor: the least that a server written in C with epoll does for a heartbeat.
 *
 * It upgrades connections to websockets (RFC 6455), and for every text frame it receives it sends one
 * text frame of the size of an acknowledgement. It parses no JSON, counts nobody and stores nothing; so no
 * server that does can cost less, and ratios to it mean something on any machine.
 *
 *     floor PORT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 2048

struct connection {
  int fd, open;
  size_t have;
  unsigned char data[ROOM];
};

/* --- SHA-1 (FIPS 180-4) and base64, for Sec-WebSocket-Accept --- */

static uint32_t turn(uint32_t x, int n) { return x << n | x >> (32 - n); }

static void sha1(const unsigned char *text, size_t length, unsigned char out[20]) {
  uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  unsigned char padded[192] = {0};
  size_t total = (length + 9 + 63) / 64 * 64;
  memcpy(padded, text, length);
  padded[length] = 0x80;
  for (int i = 0; i < 8; i++) padded[total - 1 - i] = (unsigned char)((uint64_t)length * 8 >> (8 * i));
  for (size_t at = 0; at < total; at += 64) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)padded[at + 4 * i] << 24 | padded[at + 4 * i + 1] << 16 | padded[at + 4 * i + 2] << 8 | padded[at + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
      uint32_t f, k;
      if (i < 20) f = (b & c) | (~b & d), k = 0x5A827999;
      else if (i < 40) f = b ^ c ^ d, k = 0x6ED9EBA1;
      else if (i < 60) f = (b & c) | (b & d) | (c & d), k = 0x8F1BBCDC;
      else f = b ^ c ^ d, k = 0xCA62C1D6;
      uint32_t t = turn(a, 5) + f + e + k + w[i];
      e = d, d = c, c = turn(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) out[i] = (unsigned char)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void base64_of_20(const unsigned char in[20], char out[29]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char padded[21] = {0};
  memcpy(padded, in, 20);
  for (int i = 0; i < 7; i++) {
    uint32_t v = (uint32_t)padded[3 * i] << 16 | padded[3 * i + 1] << 8 | padded[3 * i + 2];
    for (int j = 0; j < 4; j++) out[4 * i + j] = letters[v >> (18 - 6 * j) & 63];
  }
  out[27] = '=';
  out[28] = 0;
}

/* --- The loop --- */

static const char ACK[] =
    "{\"type\":\"ack\",\"seq\":1234,\"tick\":1764752400,\"live\":100000,\"peak\":100000,\"uncertain\":false,\"late\":0}";

static void end(struct connection *c) {
  close(c->fd);
  free(c);
}

static int upgrade(struct connection *c) {
  c->data[c->have] = 0;
  char *stop = strstr((char *)c->data, "\r\n\r\n"), *key = strcasestr((char *)c->data, "sec-websocket-key: ");
  if (!stop) return c->have < ROOM - 1;
  if (!key) return 0;
  char joined[80], accept[29], answer[256];
  unsigned char digest[20];
  snprintf(joined, sizeof joined, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key + 19);
  sha1((unsigned char *)joined, strlen(joined), digest);
  base64_of_20(digest, accept);
  int n = snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Protocol: streamcount.v1\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  if (write(c->fd, answer, (size_t)n) != n) return 0;
  size_t used = (size_t)(stop + 4 - (char *)c->data);
  memmove(c->data, c->data + used, c->have -= used);
  c->open = 1;
  return 1;
}

static int frames(struct connection *c) {
  size_t at = 0;
  while (c->have - at >= 6) {
    unsigned char *f = c->data + at;
    size_t length = f[1] & 0x7F, head = 6;
    if (length == 126) {
      if (c->have - at < 8) break;
      length = (size_t)f[2] << 8 | f[3], head = 8;
    }
    if (!(f[1] & 0x80) || length > 1024) return 0;
    if (c->have - at < head + length) break;
    unsigned char *mask = f + head - 4, *payload = f + head;
    for (size_t i = 0; i < length; i++) payload[i] ^= mask[i & 3];
    if ((f[0] & 0x0F) == 8) return 0;
    if ((f[0] & 0x0F) == 1) {
      char out[2 + sizeof ACK - 1] = {(char)0x81, (char)(sizeof ACK - 1)};
      memcpy(out + 2, ACK, sizeof ACK - 1);
      if (write(c->fd, out, sizeof out) != (ssize_t)sizeof out) return 0;
    }
    at += head + length;
  }
  memmove(c->data, c->data + at, c->have -= at);
  return 1;
}

int main(int count, char **words) {
  if (count != 2) return 2;
  int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), loop = epoll_create1(0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(words[1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) return 1;
  struct epoll_event event = {.events = EPOLLIN}, events[256];
  epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
  for (;;) {
    int n = epoll_wait(loop, events, 256, -1);
    for (int i = 0; i < n; i++) {
      struct connection *c = events[i].data.ptr;
      if (!c) {
        int fd;
        while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          c = calloc(1, sizeof *c);
          c->fd = fd;
          setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          event = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
          epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
        }
        continue;
      }
      ssize_t got = read(c->fd, c->data + c->have, ROOM - 1 - c->have);
      if (got <= 0) {
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) end(c);
        continue;
      }
      c->have += (size_t)got;
      if (!(c->open ? frames(c) : upgrade(c))) end(c);
    }
  }
}
