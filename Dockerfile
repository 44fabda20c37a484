# Two images from one file:
#
#   docker build --target robot -t rapport .              what a robot runs: ROS 2 Jazzy, no torch
#   docker build --target desktop -t rapport-desktop .    training, evaluation, export: torch with CUDA, no ROS installation
#
# Neither has been built or run yet.
#
#   docker run --rm --runtime nvidia --network host --ipc host -v rapport-data:/data rapport image_topic:=/camera/image_raw
#   docker run --rm --gpus all -v "$PWD/runs:/opt/rapport/runs" rapport-desktop rapport-train --help
#
# --ipc host lets the camera's container and this one share memory; without it, images go through the network stack.

# JetPack 7 is Ubuntu 24.04 and runs the standard CUDA images for arm64. JetPack 6 is Ubuntu 22.04, for which Jazzy has no
# packages: name an image there that brings Jazzy built from source (jetson-containers), and its ROS is used.
ARG ROBOT_BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04
ARG DESKTOP_BASE=python:3.12-bookworm

FROM ${ROBOT_BASE} AS robot
ARG ROS_APT_SOURCE=1.1.0
# The CPU build of ONNX Runtime comes from the package index. For the GPU of a Jetson, give the wheel that NVIDIA builds for
# your JetPack: --build-arg ONNXRUNTIME=<requirement or URL of the wheel>
ARG ONNXRUNTIME=onnxruntime
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8 ROS_DISTRO=jazzy
SHELL ["/bin/bash", "-euo", "pipefail", "-c"]

RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential ca-certificates cmake curl python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN if [ ! -e /opt/ros/jazzy ]; then \
        curl --fail --location --silent --output /tmp/ros2.deb \
            "https://github.com/ros-infrastructure/ros-apt-source/releases/download/${ROS_APT_SOURCE}/ros2-apt-source_${ROS_APT_SOURCE}.noble_all.deb" \
        && apt-get install --yes --no-install-recommends /tmp/ros2.deb \
        && apt-get update \
        && apt-get install --yes --no-install-recommends ros-jazzy-ros-base ros-jazzy-hri-msgs \
        && rm -rf /var/lib/apt/lists/* /tmp/ros2.deb; \
    fi

WORKDIR /opt/rapport
COPY . .
# ROS_DISTRO is set, so the set-up takes the installed ROS and builds the workspace into install/.
RUN set +u && source /opt/ros/jazzy/setup.bash && set -u \
    && make setup \
    && if [ "${ONNXRUNTIME}" != onnxruntime ]; then \
        .venv/bin/pip uninstall --yes onnxruntime && .venv/bin/pip install --no-cache-dir "${ONNXRUNTIME}"; \
    fi

# Profiles are personal data: they live in a volume, never in the image, and belong to a user without other rights.
RUN useradd --create-home --groups video rapport && install --directory --owner rapport --mode 0700 /data
USER rapport
ENV XDG_DATA_HOME=/data
VOLUME /data
ENTRYPOINT ["/bin/bash", "-c", "source /opt/rapport/install/setup.bash && exec ros2 launch rapport_bringup rapport.launch.py \"$@\"", "rapport"]

FROM ${DESKTOP_BASE} AS desktop
WORKDIR /opt/rapport
COPY . .
RUN make setup-dev
ENV PATH=/opt/rapport/.venv/bin:${PATH}
CMD ["rapport-train", "--help"]
