# The service in a container: no compiler, no root, nothing written outside /data.
#
#   docker build -t streamcount .
#   docker run -p 8080:8080 -p 127.0.0.1:8081:8081 -v streamcount:/data streamcount
#
# What it runs is tested without Docker: tests/test_image.py does the same in a folder of its own.
FROM python:3.13-slim

RUN useradd --create-home --uid 10001 streamcount && mkdir /data && chown streamcount /data
WORKDIR /app
COPY requirements/server.txt requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/server.txt -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY streamcount streamcount
RUN pip install --no-cache-dir --no-deps --no-build-isolation --no-index .

USER streamcount
ENV STREAMCOUNT_DATA=/data STREAMCOUNT_PUBLIC_HOST=0.0.0.0 STREAMCOUNT_OPERATOR_HOST=0.0.0.0
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
CMD ["streamcount", "serve"]
